// Stacks of the AWS CDK, synthesised without an account into the folder that is given.
import {App, CfnOutput, DefaultStackSynthesizer, Duration, RemovalPolicy, Stack} from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import * as sqs from 'aws-cdk-lib/aws-sqs';

const {image, bucket, model_data: modelDataUrl} = JSON.parse(process.env.CLIENT_CASE);
const app = new App({outdir: process.argv[2], analyticsReporting: false});
const env = {account: '123456789012', region: 'us-west-2'};
const fullAccess = iam.ManagedPolicy.fromAwsManagedPolicyName('AmazonSageMakerFullAccess');
const execution = (stack) => new iam.Role(stack, 'Execution', {
  assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com'),
  managedPolicies: [fullAccess],
});

// By the default synthesizer, which reads the version of the bootstrap stack.
const parts = new Stack(app, 'cdk-parts', {env});
new s3.Bucket(parts, 'Data', {
  removalPolicy: RemovalPolicy.DESTROY, versioned: true, enforceSSL: true, blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
});
const inbox = new sqs.Queue(parts, 'Inbox');
new sns.Topic(parts, 'News').addSubscription(new subscriptions.SqsSubscription(inbox));
new kms.Key(parts, 'Key', {enableKeyRotation: true, removalPolicy: RemovalPolicy.DESTROY});
new logs.LogGroup(parts, 'Log', {retention: logs.RetentionDays.ONE_WEEK, removalPolicy: RemovalPolicy.DESTROY});
execution(parts);
new cloudwatch.Alarm(parts, 'Errors', {
  metric: new cloudwatch.Metric({namespace: 'AWS/SageMaker', metricName: 'Invocation5XXErrors', period: Duration.minutes(1)}),
  threshold: 1,
  evaluationPeriods: 1,
});

const serving = new Stack(app, 'cdk-endpoint', {env});
const role = execution(serving);
const model = new sagemaker.CfnModel(serving, 'Model', {
  executionRoleArn: role.roleArn, primaryContainer: {image, modelDataUrl},
});
model.node.addDependency(role);
const config = new sagemaker.CfnEndpointConfig(serving, 'Config', {
  productionVariants: [{
    variantName: 'AllTraffic', modelName: model.attrModelName, initialInstanceCount: 1,
    instanceType: 'ml.m5.xlarge', initialVariantWeight: 1,
  }],
  dataCaptureConfig: {
    enableCapture: true, initialSamplingPercentage: 100, destinationS3Uri: `s3://${bucket}/cdk/capture`,
    captureOptions: [{captureMode: 'Input'}],
  },
});
const endpoint = new sagemaker.CfnEndpoint(serving, 'Endpoint', {endpointConfigName: config.attrEndpointConfigName});
new CfnOutput(serving, 'EndpointName', {value: endpoint.attrEndpointName});

// Emptying a bucket is a Lambda function's work, whose program is an asset.
const synthesizer = new DefaultStackSynthesizer({generateBootstrapVersionRule: false});
const emptied = new Stack(app, 'cdk-emptied', {env, synthesizer});
new s3.Bucket(emptied, 'Data', {removalPolicy: RemovalPolicy.DESTROY, autoDeleteObjects: true});
app.synth();
