// A broker's life through @aws-sdk/client-mq: what it is told, typed errors, pages, pending changes.
// Settings come from the environment, as in any program that uses the SDK.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as mq from "@aws-sdk/client-mq";

const client = new mq.MqClient({});
const send = (Command, input) => client.send(new Command(input));
const describe = (BrokerId) => send(mq.DescribeBrokerCommand, { BrokerId });

async function untilRunning(id) {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
    const broker = await describe(id);
    if (broker.BrokerState === mq.BrokerState.RUNNING) return broker;
    assert.notEqual(broker.BrokerState, mq.BrokerState.CREATION_FAILED);
  }
  assert.fail("the broker does not come up");
}

async function refused(call, type, attribute) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof type, `${error.name}: ${error.message}`);
    assert.equal(error.ErrorAttribute, attribute);
    return true;
  });
}

const request = {
  BrokerName: "from-javascript",
  EngineType: mq.EngineType.RABBITMQ,
  EngineVersion: "3.13",
  DeploymentMode: mq.DeploymentMode.SINGLE_INSTANCE,
  HostInstanceType: "mq.m7g.medium",
  PubliclyAccessible: false,
  AutoMinorVersionUpgrade: true,
  Users: [{ Username: "operator", Password: "correct-horse-battery" }],
  Tags: { team: "blue" },
};
const { BrokerId: id, BrokerArn: arn } = await send(mq.CreateBrokerCommand, request);
assert.match(id, /^b-[0-9a-f-]{36}$/);
await refused(() => send(mq.CreateBrokerCommand, request), mq.ConflictException, "brokerName");
await refused(
  () => send(mq.CreateBrokerCommand, { ...request, BrokerName: "no" + "!".repeat(3) }),
  mq.BadRequestException,
  "brokerName",
);

const running = await untilRunning(id);
assert.equal(running.EngineType, "RabbitMQ");
assert.ok(running.Created instanceof Date);
assert.deepEqual(running.Tags, { team: "blue" });
assert.match(running.BrokerInstances[0].Endpoints[0], /^amqps:\/\//);

const { Id } = await send(mq.CreateConfigurationCommand, {
  Name: "from-javascript",
  EngineType: "RABBITMQ",
  EngineVersion: "3.13",
});
const data = "heartbeat = 120\r\n# ünïcode\n";
const { LatestRevision } = await send(mq.UpdateConfigurationCommand, {
  ConfigurationId: Id,
  Data: Buffer.from(data).toString("base64"),
});
assert.equal(LatestRevision.Revision, 2);
const revision = await send(mq.DescribeConfigurationRevisionCommand, {
  ConfigurationId: Id,
  ConfigurationRevision: "2",
});
assert.equal(Buffer.from(revision.Data, "base64").toString(), data);

await send(mq.UpdateBrokerCommand, { BrokerId: id, Configuration: { Id, Revision: 2 } });
assert.deepEqual((await describe(id)).Configurations.Pending, { Id, Revision: 2 });
await send(mq.RebootBrokerCommand, { BrokerId: id });
const rebooted = await untilRunning(id);
assert.deepEqual(rebooted.Configurations.Current, { Id, Revision: 2 });
await refused(() => send(mq.DeleteConfigurationCommand, { ConfigurationId: Id }), mq.ConflictException, "configuration_id");

await send(mq.CreateTagsCommand, { ResourceArn: arn, Tags: { stage: "test: 1 + 2" } });
await send(mq.DeleteTagsCommand, { ResourceArn: arn, TagKeys: ["team"] });
const { Tags } = await send(mq.ListTagsCommand, { ResourceArn: arn });
assert.deepEqual(Tags, { stage: "test: 1 + 2" });

const listed = [];
for await (const page of mq.paginateListBrokers({ client, pageSize: 1 }, {})) listed.push(...page.BrokerSummaries);
assert.deepEqual(listed.map((broker) => broker.BrokerId), [id]);
assert.deepEqual((await send(mq.ListUsersCommand, { BrokerId: id })).Users, [{ Username: "operator" }]);

await send(mq.DeleteBrokerCommand, { BrokerId: id });
for (;;) {
  try {
    assert.equal((await describe(id)).BrokerState, mq.BrokerState.DELETION_IN_PROGRESS);
  } catch (error) {
    assert.ok(error instanceof mq.NotFoundException, error);
    assert.equal(error.ErrorAttribute, "broker-id");
    break;
  }
  await sleep(50);
}
console.log("done");
