import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.BuiltinExchangeType;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.Return;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * An order service with the Java client: what it relies on, one step each. The client recovers
 * connections, topology and consumers by itself.
 */
public final class Program {
    private static final int PATIENCE_MS = 30_000;
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));

    private interface Step {
        void run() throws Exception;
    }

    private static void expect(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static <T> T eventually(String what, Callable<T> probe) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            T found = probe.call();
            if (found != null) {
                return found;
            }
            expect(System.currentTimeMillis() < deadline, what);
            Thread.sleep(50);
        }
    }

    private static void restart(String how) throws IOException {
        System.out.println("restart " + how);
        expect("restarted".equals(INPUT.readLine()), "no restart");
    }

    private static ConnectionFactory factory() {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(System.getenv("AMQP_PORT")));
        factory.setNetworkRecoveryInterval(100);
        return factory;
    }

    private static GetResponse get(Channel channel, String queue, boolean autoAck) throws IOException {
        GetResponse message = channel.basicGet(queue, autoAck);
        expect(message != null, queue + " is empty");
        return message;
    }

    private static String body(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    private static byte[] bytes(Object body) {
        return body.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static SSLContext trusting(String file) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream certificate = Files.newInputStream(Path.of(file))) {
            trusted.setCertificateEntry(
                    "ca", CertificateFactory.getInstance("X.509").generateCertificate(certificate));
        }
        TrustManagerFactory managers =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    private static void connecting() throws Exception {
        ConnectionFactory secure = factory();
        secure.setPort(Integer.parseInt(System.getenv("AMQPS_PORT")));
        secure.setHost("localhost");
        secure.useSslProtocol(trusting(System.getenv("AMQP_CA")));
        secure.enableHostnameVerification();
        ConnectionFactory small = factory();
        small.setRequestedFrameMax(8192);
        small.setRequestedChannelMax(3);
        small.setRequestedHeartbeat(5);
        List<ConnectionFactory> ways = new java.util.ArrayList<>(List.of(secure, small));
        if (System.getenv("AMQP_PORT_V6") != null) {
            ConnectionFactory v6 = factory();
            v6.setHost("::1");
            v6.setPort(Integer.parseInt(System.getenv("AMQP_PORT_V6")));
            ways.add(v6);
        }
        byte[] large = new byte[300_000];
        Arrays.fill(large, (byte) 'x');
        for (ConnectionFactory way : ways) {
            try (Connection connection = way.newConnection("orders")) {
                Channel channel = connection.createChannel();
                String queue = channel.queueDeclare().getQueue();
                channel.confirmSelect();
                channel.basicPublish("", queue, null, large);
                channel.waitForConfirmsOrDie(PATIENCE_MS);
                expect(Arrays.equals(get(channel, queue, true).getBody(), large), "another body");
            }
        }
        ConnectionFactory wrong = factory();
        wrong.setPassword("wrong");
        try {
            wrong.newConnection();
            throw new AssertionError("a wrong password was taken");
        } catch (AuthenticationFailureException expected) {
            expect(expected.getMessage().contains("ACCESS_REFUSED"), expected);
        }
    }

    private static void topology(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        channel.exchangeDeclare("unrouted", BuiltinExchangeType.FANOUT, true);
        Map<String, Object> alternate = Map.of("alternate-exchange", "unrouted");
        channel.exchangeDeclare("orders", BuiltinExchangeType.TOPIC, true, false, alternate);
        channel.queueDeclare("lost", true, false, false, null);
        channel.queueBind("lost", "unrouted", "");
        channel.queueDeclare("refused", true, false, false, null);
        Map<String, Object> dead =
                Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", "refused");
        channel.queueDeclare("eu", true, false, false, dead);
        channel.queueBind("eu", "orders", "order.*.eu");
        channel.exchangeDeclarePassive("orders");
        channel.close();
    }

    private static void publishing(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        BlockingQueue<Return> returned = new LinkedBlockingQueue<>();
        channel.addReturnListener(returned::add);
        channel.confirmSelect();
        Map<String, Object> headers = Map.of("n", 1L << 40, "list", List.of(1, "two"));
        AMQP.BasicProperties properties =
                MessageProperties.PERSISTENT_TEXT_PLAIN.builder().headers(headers).build();
        channel.basicPublish("orders", "order.1.eu", true, properties, bytes(1));
        channel.basicPublish("orders", "nobody.asked", true, null, bytes(2));
        channel.basicPublish("", "nowhere", true, null, bytes(3));
        channel.waitForConfirmsOrDie(PATIENCE_MS);
        Return back = returned.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
        expect(back != null && back.getReplyCode() == 312, back);
        expect(body(back.getBody()).equals("3") && returned.isEmpty(), returned);

        GetResponse got = get(channel, "eu", true);
        expect(got.getProps().getHeaders().get("n").equals(1L << 40), got);
        expect(got.getProps().getContentType().equals("text/plain"), got);
        GetResponse lost = get(channel, "lost", true);
        expect(lost.getEnvelope().getRoutingKey().equals("nobody.asked"), lost);
        channel.close();
    }

    private static void consuming(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        channel.confirmSelect();
        for (int number = 0; number < 4; number++) {
            channel.basicPublish(
                    "orders", "order.x.eu", MessageProperties.PERSISTENT_BASIC, bytes(number));
        }
        channel.waitForConfirmsOrDie(PATIENCE_MS);
        channel.basicQos(3);
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        String tag =
                channel.basicConsume("eu", false, (t, message) -> deliveries.add(message), t -> {});
        Delivery[] taken = new Delivery[3];
        for (int index = 0; index < 3; index++) {
            taken[index] = deliveries.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
        }
        expect(deliveries.poll(200, TimeUnit.MILLISECONDS) == null, "more than the bound");
        channel.basicAck(taken[0].getEnvelope().getDeliveryTag(), false);
        channel.basicNack(taken[1].getEnvelope().getDeliveryTag(), false, true);
        channel.basicReject(taken[2].getEnvelope().getDeliveryTag(), false);
        Map<String, Boolean> seen = new ConcurrentHashMap<>();
        long last = 0;
        while (seen.size() < 2) {
            Delivery delivery = deliveries.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
            expect(delivery != null, seen);
            seen.put(body(delivery.getBody()), delivery.getEnvelope().isRedeliver());
            last = delivery.getEnvelope().getDeliveryTag();
        }
        expect(seen.equals(Map.of("1", true, "3", false)), seen);
        channel.basicAck(last, true);
        channel.basicCancel(tag);
        Map<String, Object> headers = get(channel, "refused", true).getProps().getHeaders();
        Map<?, ?> death = (Map<?, ?>) ((List<?>) headers.get("x-death")).get(0);
        expect(death.get("reason").toString().equals("rejected"), death);
        expect(death.get("queue") instanceof LongString, death);
        channel.close();
    }

    private static int codeOf(Step step) throws Exception {
        try {
            step.run();
        } catch (IOException | ShutdownSignalException error) {
            Throwable cause = error instanceof IOException ? error.getCause() : error;
            Object reason = ((ShutdownSignalException) cause).getReason();
            return ((AMQP.Channel.Close) reason).getReplyCode();
        }
        throw new AssertionError("nothing was refused");
    }

    private static void errors(Connection connection) throws Exception {
        Channel missing = connection.createChannel();
        expect(codeOf(() -> missing.queueDeclarePassive("none")) == 404, "missing queue");
        Channel other = connection.createChannel();
        expect(codeOf(() -> other.queueDeclare("eu", false, false, false, null)) == 406, "arguments");
        Channel reserved = connection.createChannel();
        expect(codeOf(() -> reserved.queueDeclare("amq.x", true, false, false, null)) == 403, "name");
        Channel twice = connection.createChannel();
        String queue = twice.queueDeclare().getQueue();
        twice.basicPublish("", queue, null, bytes("x"));
        long tag = get(twice, queue, false).getEnvelope().getDeliveryTag();
        twice.basicAck(tag, false);
        twice.basicAck(tag, false);
        eventually("an unknown tag was taken", () -> twice.isOpen() ? null : true);
        expect(connection.isOpen(), "the connection went with a channel");
    }

    private static HttpResponse<String> api(String method, String path) throws Exception {
        String login = Base64.getEncoder().encodeToString(bytes("guest:guest"));
        String base = "http://127.0.0.1:" + System.getenv("MANAGEMENT_PORT") + "/api/";
        HttpRequest request =
                HttpRequest.newBuilder(URI.create(base + path))
                        .method(method, HttpRequest.BodyPublishers.noBody())
                        .header("Authorization", "Basic " + login)
                        .build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    }

    private static void closeByApi(String clientName) throws Exception {
        Pattern named =
                Pattern.compile("\"name\":\"(127[^\"]*)\"[^{}]*(\\{[^{}]*\\}[^{}]*)*?\"user_provided_name\":\""
                        + clientName + "\"");
        String name =
                eventually("the connection is not listed", () -> {
                    String listed = api("GET", "connections?columns=name,user_provided_name").body();
                    Matcher matcher = named.matcher(listed);
                    return matcher.find() ? matcher.group(1) : null;
                });
        String path = URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
        expect(api("DELETE", "connections/" + path).statusCode() == 204, name);
    }

    /** The client connects, declares and consumes again after each end, and nothing is lost. */
    private static void recovery() throws Exception {
        ConnectionFactory factory = factory();
        factory.setAutomaticRecoveryEnabled(true);
        factory.setTopologyRecoveryEnabled(true);
        Connection connection = factory.newConnection("recovering");
        BlockingQueue<Boolean> recoveries = new LinkedBlockingQueue<>();
        ((Recoverable) connection)
                .addRecoveryListener(
                        new RecoveryListener() {
                            @Override
                            public void handleRecovery(Recoverable recovered) {
                                recoveries.add(true);
                            }

                            @Override
                            public void handleRecoveryStarted(Recoverable recovering) {}
                        });
        Channel consumer = connection.createChannel();
        // Gone with the connection, and declared again by the client.
        String own = consumer.queueDeclare("own", false, true, true, null).getQueue();
        consumer.queueBind(own, "orders", "news");
        consumer.basicQos(10);
        Set<String> received = ConcurrentHashMap.newKeySet();
        consumer.basicConsume(
                "eu",
                false,
                (tag, message) -> {
                    received.add(body(message.getBody()));
                    try {
                        consumer.basicAck(message.getEnvelope().getDeliveryTag(), false);
                    } catch (AlreadyClosedException gone) {
                        // It comes again.
                    }
                },
                tag -> {});
        Channel publisher = connection.createChannel();
        publisher.confirmSelect();
        int number = 0;
        Set<String> confirmed = ConcurrentHashMap.newKeySet();
        for (String end : List.of("killed", "stopped", "closed by the API")) {
            for (int count = 0; count < 50; count++) {
                String text = "m" + number++;
                publisher.basicPublish(
                        "orders", "order.x.eu", MessageProperties.PERSISTENT_BASIC, bytes(text));
                publisher.waitForConfirmsOrDie(PATIENCE_MS);
                confirmed.add(text);
            }
            recoveries.clear();
            if (end.startsWith("closed")) {
                closeByApi("recovering");
            } else {
                restart(end);
            }
            expect(recoveries.poll(PATIENCE_MS, TimeUnit.MILLISECONDS) != null, "no recovery: " + end);
            publisher.basicPublish("orders", "news", true, null, bytes(end));
            publisher.waitForConfirmsOrDie(PATIENCE_MS);
            expect(body(get(publisher, own, true).getBody()).equals(end), "the own queue is not back");
        }
        eventually("a confirmed message is missing", () -> received.containsAll(confirmed) ? true : null);
        connection.close();
    }

    public static void main(String[] arguments) throws Exception {
        connecting();
        try (Connection connection = factory().newConnection()) {
            topology(connection);
            publishing(connection);
            consuming(connection);
            errors(connection);
        }
        recovery();
        System.out.println("done");
    }

    private Program() {}
}
