// The JavaScript SDK 3: what a service of one's own would call. It runs beside .venv-clients/javascript/node_modules.
import {readFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as lambda from '@aws-sdk/client-lambda';
import * as logs from '@aws-sdk/client-cloudwatch-logs';
import * as runtime from '@aws-sdk/client-sagemaker-runtime';
import * as s3 from '@aws-sdk/client-s3';
import * as sagemaker from '@aws-sdk/client-sagemaker';
import * as sts from '@aws-sdk/client-sts';

const {name, role, image, bucket, rows, ...files} = JSON.parse(process.env.CLIENT_CASE);
const sm = new sagemaker.SageMakerClient({});
const objects = new s3.S3Client({});
const endpoint = new runtime.SageMakerRuntimeClient({});
const artefact = `s3://${bucket}/${name}/${name}/output/model.tar.gz`;

async function tell(operation, call) {
  let outcome = 'works';
  try {
    await call();
  } catch (error) {
    const refused = error?.$metadata?.httpStatusCode !== undefined;
    if (!refused) console.error(error);
    outcome = refused ? `refused: ${error.message}` : `failed: ${error}`;
  }
  console.log(JSON.stringify({operation, outcome}).replace('{"operation":', '{"operation": '));
}

function same(found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
}

const channel = (part) => ({
  ChannelName: part,
  ContentType: 'text/csv',
  DataSource: {S3DataSource: {S3DataType: 'S3Prefix', S3Uri: `s3://${bucket}/${name}/${part}/`}},
});

async function upload() {
  for (const part of ['train', 'validation']) {
    const Key = `${name}/${part}/${part}.csv`;
    await objects.send(new s3.PutObjectCommand({Bucket: bucket, Key, Body: readFileSync(files[part])}));
  }
  const listed = await objects.send(new s3.ListObjectsV2Command({Bucket: bucket, Prefix: `${name}/`}));
  same(listed.Contents.length, 2);
}

async function train() {
  await sm.send(new sagemaker.CreateTrainingJobCommand({
    TrainingJobName: name,
    RoleArn: role,
    AlgorithmSpecification: {TrainingImage: image, TrainingInputMode: 'File'},
    HyperParameters: {objective: 'multi:softmax', num_class: '3', num_round: '5', eval_metric: 'merror'},
    InputDataConfig: [channel('train'), channel('validation')],
    OutputDataConfig: {S3OutputPath: `s3://${bucket}/${name}`},
    ResourceConfig: {InstanceType: 'ml.m5.xlarge', InstanceCount: 1, VolumeSizeInGB: 1},
    StoppingCondition: {MaxRuntimeInSeconds: 600},
  }));
  const described = new sagemaker.DescribeTrainingJobCommand({TrainingJobName: name});
  let job;
  while ((job = await sm.send(described)).TrainingJobStatus === 'InProgress') await pause(500);
  same(job.TrainingJobStatus, 'Completed');
}

async function metrics() {
  const found = await new cloudwatch.CloudWatchClient({}).send(new cloudwatch.GetMetricStatisticsCommand({
    Namespace: '/aws/sagemaker/TrainingJobs',
    MetricName: 'train:merror',
    Dimensions: [{Name: 'TrainingJobName', Value: name}],
    StartTime: new Date(Date.now() - 3600e3),
    EndTime: new Date(Date.now() + 3600e3),
    Period: 3600,
    Statistics: ['SampleCount'],
  }));
  same(found.Datapoints.reduce((sum, point) => sum + point.SampleCount, 0), 5);
}

async function log() {
  const group = {logGroupName: '/aws/sagemaker/TrainingJobs', logStreamNamePrefix: name};
  const client = new logs.CloudWatchLogsClient({});
  const {logStreams} = await client.send(new logs.DescribeLogStreamsCommand(group));
  const stream = {logGroupName: group.logGroupName, logStreamName: logStreams[0].logStreamName};
  const {events} = await client.send(new logs.GetLogEventsCommand({...stream, startFromHead: true}));
  same(events.some((event) => event.message.includes('train-merror')), true);
}

async function deploy() {
  await sm.send(new sagemaker.CreateModelCommand({
    ModelName: name, ExecutionRoleArn: role, PrimaryContainer: {Image: image, ModelDataUrl: artefact},
  }));
  await sm.send(new sagemaker.CreateEndpointConfigCommand({
    EndpointConfigName: name,
    ProductionVariants: [{VariantName: 'a', ModelName: name, InitialInstanceCount: 1, InstanceType: 'ml.m5.xlarge'}],
    DataCaptureConfig: {
      EnableCapture: true,
      InitialSamplingPercentage: 100,
      DestinationS3Uri: `s3://${bucket}/${name}/capture`,
      CaptureOptions: [{CaptureMode: 'Input'}],
    },
  }));
  await sm.send(new sagemaker.CreateEndpointCommand({EndpointName: name, EndpointConfigName: name}));
  const ended = await sagemaker.waitUntilEndpointInService(
    {client: sm, maxWaitTime: 300, minDelay: 1, maxDelay: 1}, {EndpointName: name});
  same(ended.state, 'SUCCESS');
}

async function predict() {
  const ask = async (Accept) => {
    const request = {EndpointName: name, ContentType: 'text/csv', Accept, Body: rows.join('\n')};
    return Buffer.from((await endpoint.send(new runtime.InvokeEndpointCommand(request))).Body).toString();
  };
  same(await ask('text/csv'), '0.0\n1.0\n2.0\n');
  same(JSON.parse(await ask('application/json')).predictions.map(({score}) => score), [0, 1, 2]);
  const lines = (await ask('application/jsonlines')).trim().split('\n');
  same(lines.map((line) => JSON.parse(line).score), [0, 1, 2]);
}

async function register() {
  await sm.send(new sagemaker.CreateModelPackageGroupCommand({ModelPackageGroupName: name}));
  await sm.send(new sagemaker.CreateModelPackageCommand({
    ModelPackageGroupName: name,
    InferenceSpecification: {
      Containers: [{Image: image, ModelDataUrl: artefact}],
      SupportedContentTypes: ['text/csv'],
      SupportedResponseMIMETypes: ['text/csv'],
    },
  }));
}

async function remove() {
  await sm.send(new sagemaker.DeleteEndpointCommand({EndpointName: name}));
  await sm.send(new sagemaker.DeleteEndpointConfigCommand({EndpointConfigName: name}));
  await sm.send(new sagemaker.DeleteModelCommand({ModelName: name}));
  const version = `arn:aws:sagemaker:us-west-2:123456789012:model-package/${name}/1`;
  await sm.send(new sagemaker.DeleteModelPackageCommand({ModelPackageName: version}));
  await sm.send(new sagemaker.DeleteModelPackageGroupCommand({ModelPackageGroupName: name}));
}

await tell('who am I (STS)', async () =>
  same((await new sts.STSClient({}).send(new sts.GetCallerIdentityCommand({}))).Account, '123456789012'));
await tell('upload to S3, list', upload);
await tell('train the built-in XGBoost', train);
await tell("the job's metrics in CloudWatch", metrics);
await tell("the job's log", log);
await tell('Search', async () => {
  const Filters = [{Name: 'TrainingJobName', Operator: 'Equals', Value: name}];
  const found = await sm.send(new sagemaker.SearchCommand({Resource: 'TrainingJob', SearchExpression: {Filters}}));
  same(found.Results.length, 1);
});
await tell('deploy an endpoint with data capture', deploy);
await tell('predict: CSV, JSON, JSON lines', predict);
await tell('register a model', register);
await tell('processing jobs', () => sm.send(new sagemaker.CreateProcessingJobCommand({
  ProcessingJobName: name, RoleArn: role, AppSpecification: {ImageUri: image}, ProcessingResources: {},
})));
await tell('batch transform', () => sm.send(new sagemaker.CreateTransformJobCommand({TransformJobName: name})));
await tell('hyperparameter tuning', () =>
  sm.send(new sagemaker.CreateHyperParameterTuningJobCommand({HyperParameterTuningJobName: name})));
await tell('pipelines', () => sm.send(new sagemaker.CreatePipelineCommand({PipelineName: name})));
await tell('asynchronous inference', () =>
  endpoint.send(new runtime.InvokeEndpointAsyncCommand({EndpointName: name, InputLocation: `s3://${bucket}/${name}`})));
await tell('a service that is not here (Lambda)', () =>
  new lambda.LambdaClient({}).send(new lambda.ListFunctionsCommand({})));
await tell('delete what was made', remove);
