// An order service with amqp091-go: what it relies on, one step each. It connects again by itself,
// as applications of this client do.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 30 * time.Second

var input = bufio.NewScanner(os.Stdin)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(holds bool, what string, values ...any) {
	if !holds {
		panic(fmt.Sprint(append([]any{what, ": "}, values...)...))
	}
}

func restart(how string) {
	fmt.Println("restart", how)
	expect(input.Scan() && input.Text() == "restarted", "no restart", input.Text())
}

func uri(scheme, login, host, port string) string {
	return fmt.Sprintf("%s://%s@%s:%s/", scheme, login, host, port)
}

var plain = uri("amqp", "guest:guest", "127.0.0.1", os.Getenv("AMQP_PORT"))

func dial() *amqp.Connection {
	connection, err := amqp.Dial(plain)
	check(err)
	return connection
}

func dialAgain() *amqp.Connection {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		connection, err := amqp.Dial(plain)
		if err == nil {
			return connection
		}
		expect(time.Now().Before(deadline), "the broker is not back", err)
	}
}

func open(connection *amqp.Connection) *amqp.Channel {
	channel, err := connection.Channel()
	check(err)
	return channel
}

func get(channel *amqp.Channel, queue string, autoAck bool) amqp.Delivery {
	message, found, err := channel.Get(queue, autoAck)
	check(err)
	expect(found, "a queue is empty", queue)
	return message
}

func next(deliveries <-chan amqp.Delivery) amqp.Delivery {
	select {
	case delivery, open := <-deliveries:
		expect(open, "the consumer ended")
		return delivery
	case <-time.After(patience):
		panic("no delivery")
	}
}

// A persistent, mandatory publish, confirmed; false when the broker refused it.
func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) bool {
	message.DeliveryMode = amqp.Persistent
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	confirm, err := channel.PublishWithDeferredConfirmWithContext(ctx, exchange, key, true, false, message)
	check(err)
	acked, err := confirm.WaitContext(ctx)
	check(err)
	return acked
}

func text(body string) amqp.Publishing {
	return amqp.Publishing{Body: []byte(body)}
}

func connecting() {
	pem, err := os.ReadFile(os.Getenv("AMQP_CA"))
	check(err)
	roots := x509.NewCertPool()
	expect(roots.AppendCertsFromPEM(pem), "no certificate")
	secure := uri("amqps", "guest:guest", "localhost", os.Getenv("AMQPS_PORT"))
	byTable := amqp.Config{SASL: []amqp.Authentication{&amqp.AMQPlainAuth{Username: "guest", Password: "guest"}}}
	dials := []func() (*amqp.Connection, error){
		func() (*amqp.Connection, error) { return amqp.DialTLS(secure, &tls.Config{RootCAs: roots}) },
		func() (*amqp.Connection, error) { return amqp.DialConfig(plain, byTable) },
		func() (*amqp.Connection, error) {
			return amqp.DialConfig(plain, amqp.Config{FrameSize: 8192, ChannelMax: 3, Heartbeat: 5 * time.Second})
		},
	}
	if port := os.Getenv("AMQP_PORT_V6"); port != "" {
		dials = append(dials, func() (*amqp.Connection, error) {
			return amqp.Dial(uri("amqp", "guest:guest", "[::1]", port))
		})
	}
	for _, dial := range dials {
		connection, err := dial()
		check(err)
		channel := open(connection)
		queue, err := channel.QueueDeclare("", false, false, true, false, nil)
		check(err)
		body := bytes.Repeat([]byte("x"), 300_000)
		check(channel.Confirm(false))
		expect(publish(channel, "", queue.Name, amqp.Publishing{Body: body}), "not confirmed")
		expect(bytes.Equal(get(channel, queue.Name, true).Body, body), "another body")
		check(connection.Close())
	}
	_, err = amqp.Dial(uri("amqp", "guest:wrong", "127.0.0.1", os.Getenv("AMQP_PORT")))
	expect(err != nil, "a wrong password was taken")
	_, err = amqp.Dial(plain + "none")
	expect(errors.Is(err, amqp.ErrVhost) || err != nil, "a virtual host that is not there was opened", err)
	_, err = amqp.DialTLS(secure, &tls.Config{})
	var unknown x509.UnknownAuthorityError
	expect(errors.As(err, &unknown), "an unknown authority was trusted", err)
}

func topology(connection *amqp.Connection) {
	channel := open(connection)
	check(channel.ExchangeDeclare("unrouted", "fanout", true, false, false, false, nil))
	check(channel.ExchangeDeclare("orders", "topic", true, false, false, false,
		amqp.Table{"alternate-exchange": "unrouted"}))
	for name, arguments := range map[string]amqp.Table{
		"lost": nil, "refused": nil,
		"eu": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "refused"},
	} {
		_, err := channel.QueueDeclare(name, true, false, false, false, arguments)
		check(err)
	}
	check(channel.QueueBind("lost", "", "unrouted", false, nil))
	check(channel.QueueBind("eu", "order.*.eu", "orders", false, nil))
	check(channel.ExchangeDeclarePassive("orders", "topic", true, false, false, false, nil))
	check(channel.Close())
}

func publishing(connection *amqp.Connection) {
	channel := open(connection)
	check(channel.Confirm(false))
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	headers := amqp.Table{"n": int64(1) << 40, "list": []any{int32(1), "two", nil}, "t": time.Unix(7, 0)}
	message := text("1")
	message.Headers, message.Timestamp, message.Priority = headers, time.Unix(9, 0), 4
	expect(publish(channel, "orders", "order.1.eu", message), "not confirmed")
	expect(publish(channel, "orders", "nobody.asked", text("2")), "not confirmed")
	expect(publish(channel, "", "nowhere", text("3")), "an unroutable message is confirmed as well")
	returned := <-returns
	expect(returned.ReplyCode == 312 && string(returned.Body) == "3", "returned", returned)

	got := get(channel, "eu", true)
	expect(got.Headers["n"] == headers["n"] && got.Headers["t"].(time.Time).Equal(time.Unix(7, 0)), "headers", got.Headers)
	expect(got.Timestamp.Equal(time.Unix(9, 0)) && got.Priority == 4, "properties", got)
	expect(get(channel, "lost", true).RoutingKey == "nobody.asked", "the alternate exchange took nothing")
	check(channel.Close())
}

func consuming(connection *amqp.Connection) {
	channel := open(connection)
	check(channel.Confirm(false))
	for number := 0; number < 4; number++ {
		publish(channel, "orders", "order.x.eu", text(fmt.Sprint(number)))
	}
	check(channel.Qos(3, 0, false))
	deliveries, err := channel.Consume("eu", "worker", false, false, false, false, nil)
	check(err)
	first, second, third := next(deliveries), next(deliveries), next(deliveries)
	select {
	case early := <-deliveries:
		panic("more than the bound: " + string(early.Body))
	case <-time.After(200 * time.Millisecond):
	}
	check(first.Ack(false))
	check(second.Nack(false, true))
	check(third.Reject(false))
	seen := map[string]bool{}
	for count := 0; count < 2; count++ {
		delivery := next(deliveries)
		seen[string(delivery.Body)] = delivery.Redelivered
		check(delivery.Ack(false))
	}
	expect(len(seen) == 2 && seen["1"] && !seen["3"], "redelivered", seen)
	check(channel.Cancel("worker", false))
	death := get(channel, "refused", true).Headers["x-death"].([]any)[0].(amqp.Table)
	expect(death["reason"] == "rejected" && death["queue"] == "eu", "x-death", death)
	check(channel.Close())
}

func failures(connection *amqp.Connection) {
	cases := map[string]struct {
		code int
		call func(*amqp.Channel) error
	}{
		"missing queue": {404, func(c *amqp.Channel) error {
			_, err := c.QueueDeclarePassive("none", true, false, false, false, nil)
			return err
		}},
		"other arguments": {406, func(c *amqp.Channel) error {
			_, err := c.QueueDeclare("eu", false, false, false, false, nil)
			return err
		}},
		"reserved name": {403, func(c *amqp.Channel) error {
			_, err := c.QueueDeclare("amq.mine", false, false, false, false, nil)
			return err
		}},
		"missing exchange": {404, func(c *amqp.Channel) error {
			return c.QueueBind("eu", "", "none", false, nil)
		}},
	}
	for name, fault := range cases {
		channel := open(connection)
		closed := channel.NotifyClose(make(chan *amqp.Error, 1))
		var reason *amqp.Error
		expect(errors.As(fault.call(channel), &reason) && reason.Code == fault.code, name, reason)
		expect((<-closed).Code == fault.code, name, "closed otherwise")
	}
	expect(!connection.IsClosed(), "the connection went with a channel")
}

func transaction(connection *amqp.Connection) {
	channel := open(connection)
	queue, err := channel.QueueDeclare("", false, true, true, false, nil)
	check(err)
	check(channel.Tx())
	check(channel.PublishWithContext(context.Background(), "", queue.Name, false, false, text("taken back")))
	check(channel.TxRollback())
	check(channel.PublishWithContext(context.Background(), "", queue.Name, false, false, text("meant")))
	check(channel.TxCommit())
	expect(string(get(channel, queue.Name, true).Body) == "meant", "another message was committed")
	check(channel.Close())
}

func restarts() {
	for _, how := range []string{"killed", "stopped"} {
		connection := dialAgain()
		closed := connection.NotifyClose(make(chan *amqp.Error, 1))
		channel := open(connection)
		check(channel.Confirm(false))
		_, err := channel.QueuePurge("eu", false)
		check(err)
		for number := 0; number < 100; number++ {
			expect(publish(channel, "orders", "order.x.eu", text(fmt.Sprint(number))), "not confirmed", number)
		}
		for count := 0; count < 5; count++ {
			get(channel, "eu", false)
		}
		restart(how)
		select {
		case reason := <-closed:
			expect(how == "killed" || reason.Code == amqp.ConnectionForced, "closed", reason)
		case <-time.After(patience):
			panic("the end of the connection went unnoticed")
		}
		connection = dialAgain()
		channel = open(connection)
		for number := 0; number < 100; number++ {
			message := get(channel, "eu", true)
			expect(string(message.Body) == fmt.Sprint(number), "lost or out of order", number, string(message.Body))
			expect(message.Redelivered || number >= 5, "not flagged", number)
			expect(how == "killed" || message.Redelivered == (number < 5), "flagged wrongly", number)
		}
		check(connection.Close())
	}
}

func main() {
	log.SetOutput(os.Stderr)
	connecting()
	connection := dial()
	for _, scenario := range []func(*amqp.Connection){topology, publishing, consuming, failures, transaction} {
		scenario(connection)
	}
	check(connection.UpdateSecret("again", "expired"))
	check(connection.Close())
	restarts()
	fmt.Println("done")
}
