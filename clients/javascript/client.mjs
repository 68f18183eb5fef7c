// A model's life through the AWS SDK for JavaScript v3, with what stands around it.
//
// Usage: client.mjs MODEL.tar.gz, an archive with TensorFlow Serving's model `half_plus_two`. Every
// line printed is a step whose outcome was checked.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { argv } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import {
  CloudWatchClient,
  GetMetricDataCommand,
  GetMetricStatisticsCommand,
  ListMetricsCommand,
  PutMetricDataCommand,
} from "@aws-sdk/client-cloudwatch";
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  GetLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateRoleCommand,
  DeleteRoleCommand,
  GetRoleCommand,
  IAMClient,
} from "@aws-sdk/client-iam";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointCommand,
  ListTagsCommand,
  SageMakerClient,
  UpdateEndpointCommand,
  paginateListModels,
  waitUntilEndpointDeleted,
  waitUntilEndpointInService,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { AwsSmithyRpcV2CborProtocol } from "@aws-sdk/core/protocols";

const name = `javascript-${Date.now()}`;
const archive = argv[2];
const image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.16-cpu";
const ago = (minutes) => new Date(Date.now() - minutes * 60_000);

// Metrics and logs arrive a moment after what they record.
async function eventually(ask) {
  for (let tries = 0; tries < 30; tries++) {
    const answer = await ask();
    if (answer) return answer;
    await sleep(1000);
  }
  throw new Error(`This did not become true: ${ask}`);
}

const s3 = new S3Client();
await s3.send(new CreateBucketCommand({ Bucket: name }));
const { size } = await stat(archive);
// A stream is sent in chunks with its checksum behind them.
await s3.send(
  new PutObjectCommand({
    Bucket: name,
    Key: "model.tar.gz",
    Body: createReadStream(archive),
    ContentLength: size,
  }),
);
const got = await s3.send(new GetObjectCommand({ Bucket: name, Key: "model.tar.gz" }));
assert.deepEqual(Buffer.from(await got.Body.transformToByteArray()), await readFile(archive));
await s3.send(
  new CopyObjectCommand({ Bucket: name, Key: "a/ü b", CopySource: `${name}/model.tar.gz` }),
);
await s3.send(
  new PutObjectCommand({ Bucket: name, Key: "a/text", Body: "twelve bytes", Metadata: { of: "me" } }),
);
const head = await s3.send(new HeadObjectCommand({ Bucket: name, Key: "a/text" }));
assert.equal(head.ContentLength, 12);
assert.deepEqual(head.Metadata, { of: "me" });
const part = await s3.send(
  new GetObjectCommand({ Bucket: name, Key: "a/text", Range: "bytes=7-11" }),
);
assert.equal(await part.Body.transformToString(), "bytes");
const keys = [];
for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket: name }))
  keys.push(...page.Contents.map((object) => object.Key));
assert.deepEqual(keys, ["a/text", "a/ü b", "model.tar.gz"]);
await assert.rejects(s3.send(new GetObjectCommand({ Bucket: name, Key: "none" })), NoSuchKey);
console.log("ok: S3: create, put (a stream too), get, range, copy, head, list by pages");

const iam = new IAMClient();
const trust = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { Service: "sagemaker.amazonaws.com" },
      Action: "sts:AssumeRole",
    },
  ],
});
await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust }));
const { Role: role } = await iam.send(new GetRoleCommand({ RoleName: name }));
assert.equal(decodeURIComponent(role.AssumeRolePolicyDocument), trust);
console.log(`ok: IAM: create and get ${role.Arn}`);

const identity = await new STSClient().send(new GetCallerIdentityCommand({}));
assert.match(identity.Arn, /^arn:aws:sts::\d{12}:assumed-role\//);
const { Credentials: assumed } = await new STSClient().send(
  new AssumeRoleCommand({ RoleArn: role.Arn, RoleSessionName: "javascript" }),
);
const credentials = {
  accessKeyId: assumed.AccessKeyId,
  secretAccessKey: assumed.SecretAccessKey,
  sessionToken: assumed.SessionToken,
};
const other = await new STSClient({ credentials }).send(new GetCallerIdentityCommand({}));
assert.ok(other.Arn.endsWith(`:assumed-role/${name}/javascript`), other.Arn);
console.log("ok: STS: get the caller's identity, assume the role");

const sagemaker = new SageMakerClient();
const wait = { client: sagemaker, minDelay: 1, maxDelay: 1, maxWaitTime: 120 };
await sagemaker.send(
  new CreateModelCommand({
    ModelName: name,
    ExecutionRoleArn: role.Arn,
    PrimaryContainer: { Image: image, ModelDataUrl: `s3://${name}/model.tar.gz` },
  }),
);
const models = [];
for await (const page of paginateListModels({ client: sagemaker }, { NameContains: name }))
  models.push(...page.Models.map((model) => model.ModelName));
assert.deepEqual(models, [name]);
for (const count of [1, 2])
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: `${name}-${count}`,
      ProductionVariants: [
        {
          VariantName: "AllTraffic",
          ModelName: name,
          InstanceType: "ml.c5.large",
          InitialInstanceCount: count,
        },
      ],
    }),
  );
const { EndpointArn: endpointArn } = await sagemaker.send(
  new CreateEndpointCommand({
    EndpointName: name,
    EndpointConfigName: `${name}-1`,
    Tags: [{ Key: "team", Value: "wind" }],
  }),
);
await waitUntilEndpointInService(wait, { EndpointName: name });
const { Tags: tags } = await sagemaker.send(new ListTagsCommand({ ResourceArn: endpointArn }));
assert.deepEqual(tags, [{ Key: "team", Value: "wind" }]);
console.log("ok: SageMaker: create a model, its configs and an endpoint, wait, list, tags");

const runtime = new SageMakerRuntimeClient();
const ask = (instances) =>
  runtime.send(
    new InvokeEndpointCommand({
      EndpointName: name,
      ContentType: "application/json",
      Body: JSON.stringify({ instances }),
    }),
  );
const answer = await ask([1, 2, 5]);
assert.deepEqual(JSON.parse(Buffer.from(answer.Body)), { predictions: [2.5, 3, 4.5] });
assert.equal(answer.InvokedProductionVariant, "AllTraffic");
await assert.rejects(ask(["no number"]), { name: "ModelError", OriginalStatusCode: 400 });
console.log("ok: SageMaker Runtime: invoke, and a model's error");

await sagemaker.send(
  new UpdateEndpointCommand({ EndpointName: name, EndpointConfigName: `${name}-2` }),
);
await waitUntilEndpointInService(wait, { EndpointName: name });
const updated = await sagemaker.send(new DescribeEndpointCommand({ EndpointName: name }));
assert.equal(updated.EndpointConfigName, `${name}-2`);
assert.equal(updated.ProductionVariants[0].CurrentInstanceCount, 2);
assert.ok(updated.LastModifiedTime > updated.CreationTime);
console.log("ok: SageMaker: update the endpoint to two instances");

const logs = new CloudWatchLogsClient();
const logGroupName = `/aws/sagemaker/Endpoints/${name}`;
const { logStreams } = await logs.send(new DescribeLogStreamsCommand({ logGroupName }));
assert.match(logStreams[0].logStreamName, /^AllTraffic\//);
const { events } = await logs.send(
  new GetLogEventsCommand({
    logGroupName,
    logStreamName: logStreams[0].logStreamName,
    startFromHead: true,
  }),
);
assert.ok(events.length > 0 && events[0].message);
const filtered = await logs.send(new FilterLogEventsCommand({ logGroupName }));
assert.ok(filtered.events.length > 0);
await assert.rejects(
  logs.send(new DescribeLogStreamsCommand({ logGroupName: `${logGroupName}-not` })),
  { name: "ResourceNotFoundException" },
);
console.log("ok: CloudWatch Logs: streams, events, filter");

const dimensions = [
  { Name: "EndpointName", Value: name },
  { Name: "VariantName", Value: "AllTraffic" },
];
for (const protocol of [undefined, AwsSmithyRpcV2CborProtocol]) {
  const namespace = protocol ? "JavaScript/Cbor" : "JavaScript/Json";
  const cloudwatch = new CloudWatchClient(protocol ? { protocol } : {});
  const time = { StartTime: ago(15), EndTime: ago(-1) };
  await eventually(async () => {
    const { Datapoints: datapoints } = await cloudwatch.send(
      new GetMetricStatisticsCommand({
        Namespace: "AWS/SageMaker",
        MetricName: "Invocations",
        Dimensions: dimensions,
        ...time,
        Period: 60,
        Statistics: ["Sum"],
      }),
    );
    return datapoints.reduce((sum, point) => sum + point.Sum, 0) === 2;
  });
  const { MetricDataResults: results } = await cloudwatch.send(
    new GetMetricDataCommand({
      ...time,
      MetricDataQueries: [
        {
          Id: "latency",
          MetricStat: {
            Metric: {
              Namespace: "AWS/SageMaker",
              MetricName: "ModelLatency",
              Dimensions: dimensions,
            },
            Period: 60,
            Stat: "p90",
          },
        },
        { Id: "ms", Expression: "latency / 1000" },
      ],
    }),
  );
  const [latency, ms] = ["latency", "ms"].map((id) => results.find((each) => each.Id === id));
  assert.ok(latency.Timestamps[0] instanceof Date && latency.Values[0] > 0);
  assert.equal(ms.Values[0], latency.Values[0] / 1000);
  await cloudwatch.send(
    new PutMetricDataCommand({
      Namespace: namespace,
      MetricData: [
        {
          MetricName: "Speed",
          Dimensions: [{ Name: "Tunnel", Value: name }],
          Values: [1, 2.5],
          Counts: [3, 1],
          Unit: "Count",
        },
      ],
    }),
  );
  const listed = await eventually(async () => {
    const { Metrics: metrics } = await cloudwatch.send(
      new ListMetricsCommand({ Namespace: namespace }),
    );
    return metrics.length > 0 && metrics;
  });
  assert.equal(listed[0].MetricName, "Speed");
  const { Datapoints: own } = await cloudwatch.send(
    new GetMetricStatisticsCommand({
      Namespace: namespace,
      MetricName: "Speed",
      Dimensions: [{ Name: "Tunnel", Value: name }],
      ...time,
      Period: 3600,
      Statistics: ["SampleCount", "Sum"],
    }),
  );
  assert.equal(own.reduce((sum, point) => sum + point.SampleCount, 0), 4);
  assert.equal(own.reduce((sum, point) => sum + point.Sum, 0), 5.5);
  // What a query names wrongly is refused with the same error in every protocol.
  await assert.rejects(
    cloudwatch.send(new PutMetricDataCommand({ Namespace: "AWS/SageMaker", MetricData: [] })),
    { name: "InvalidParameterValueException" },
  );
  console.log(`ok: CloudWatch by ${protocol ? "CBOR" : "JSON"}: statistics, data with math, put, list`);
}

await sagemaker.send(new DeleteEndpointCommand({ EndpointName: name }));
await waitUntilEndpointDeleted(wait, { EndpointName: name });
for (const count of [1, 2])
  await sagemaker.send(
    new DeleteEndpointConfigCommand({ EndpointConfigName: `${name}-${count}` }),
  );
await sagemaker.send(new DeleteModelCommand({ ModelName: name }));
await assert.rejects(sagemaker.send(new DescribeEndpointCommand({ EndpointName: name })), {
  name: "ValidationException",
  message: /Could not find endpoint/,
});
await iam.send(new DeleteRoleCommand({ RoleName: name }));
await s3.send(
  new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: keys.map((Key) => ({ Key })) } }),
);
await s3.send(new DeleteBucketCommand({ Bucket: name }));
console.log("ok: delete, and gone");
