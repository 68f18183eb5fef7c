#!/usr/bin/env bash
# A model's life by the AWS CLI, with what an operator looks at around it.
#
# Usage: client.sh MODEL.tar.gz, an archive with TensorFlow Serving's model `half_plus_two`. Every
# line printed is a step whose outcome was checked.
set -euo pipefail

archive=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AWS_PAGER="" AWS_DEFAULT_OUTPUT=text
bucket=aws-cli-$$
name=aws-cli-$$
image=763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:1.15.3-cpu

fail() {
    echo "client.sh:${BASH_LINENO[1]}: $*" >&2
    exit 1
}

# expect WANTED COMMAND...: what the command prints is what was wanted.
expect() {
    local wanted=$1 got
    shift
    got=$("$@") || fail "$* failed"
    [ "$got" = "$wanted" ] || fail "$* printed '$got', not '$wanted'"
}

# refuse CODE COMMAND...: the command fails, and says why with AWS's code.
refuse() {
    local code=$1 said
    shift
    ! said=$("$@" 2>&1) || fail "$* did not fail"
    [[ $said == *"$code"* ]] || fail "$* said '$said', without $code"
}

# eventually COMMAND...: metrics and logs arrive a moment after what they record.
eventually() {
    local tries
    for tries in $(seq "${patience:-30}"); do
        "$@" && return
        sleep 1
    done
    fail "$* did not become true"
}

configure() {
    # As `aws configure` asks: the key, the secret, the region, the output format.
    printf '%s\n' AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY eu-west-1 json |
        aws configure --profile other >"$work/asked"
    expect eu-west-1 aws configure get region --profile other
    expect AKIAIOSFODNN7EXAMPLE aws configure get aws_access_key_id --profile other
    aws configure set profile.other.s3.max_concurrent_requests 4
    expect 4 aws configure get profile.other.s3.max_concurrent_requests
    refuse InvalidClientTokenId aws sts get-caller-identity --profile other
    echo "ok: aws configure: a profile, whose unknown key is refused"
}

identity() {
    local arn
    arn=$(aws sts get-caller-identity --query Arn)
    [[ $arn == arn:aws:sts::*:assumed-role/* ]] || fail "the identity is '$arn'"
    echo "ok: aws sts get-caller-identity: $arn"
}

s3() {
    aws s3 mb "s3://$bucket" >"$work/said"
    head -c 1000 /dev/urandom >"$work/small"
    # The CLI sends what is larger than 8 MB in parts of 8 MB.
    head -c 20000000 /dev/urandom >"$work/large"
    aws s3 cp "$work/small" "s3://$bucket/deep/small" >"$work/said"
    aws s3 cp "$work/large" "s3://$bucket/large" --no-progress >"$work/said"
    [[ $(aws s3api head-object --bucket "$bucket" --key large --query ETag) == *-3\" ]] ||
        fail "the large file did not go in three parts"
    aws s3 cp "s3://$bucket/large" "$work/large-again" --no-progress >"$work/said"
    cmp "$work/large" "$work/large-again"
    aws s3 cp "s3://$bucket/deep/small" - | cmp - "$work/small"
    aws s3 cp - "s3://$bucket/streamed" <"$work/small"
    aws s3 cp "s3://$bucket/streamed" "s3://$bucket/copied" >"$work/said"
    expect 1000 aws s3api head-object --bucket "$bucket" --key copied --query ContentLength
    aws s3 ls "s3://$bucket" --recursive --summarize >"$work/listed"
    grep -q "Total Objects: 4" "$work/listed"
    aws s3 ls "s3://$bucket/" >"$work/listed"
    grep -q "PRE deep/" "$work/listed"
    echo "ok: aws s3 mb, cp (in parts too), ls"

    mkdir -p "$work/tree/sub"
    cp "$work/small" "$work/tree/a b+ü"
    cp "$work/small" "$work/tree/sub/gone"
    # S3 keeps whole seconds, so a file of this very second would be newer than its own copy.
    touch -d "1 minute ago" "$work/tree/a b+ü" "$work/tree/sub/gone"
    aws s3 sync "$work/tree" "s3://$bucket/tree" --no-progress >"$work/said"
    expect "" aws s3 sync "$work/tree" "s3://$bucket/tree"
    rm -r "$work/tree/sub"
    aws s3 sync "$work/tree" "s3://$bucket/tree" --delete --no-progress >"$work/said"
    grep -q "^delete: s3://$bucket/tree/sub/gone" "$work/said"
    aws s3 sync "s3://$bucket/tree" "$work/tree-again" --no-progress >"$work/said"
    diff -r "$work/tree" "$work/tree-again"
    fetch "$(aws s3 presign "s3://$bucket/deep/small")" | cmp - "$work/small"
    aws s3 rm "s3://$bucket/large" >"$work/said"
    aws s3 rm "s3://$bucket" --recursive --exclude "deep/*" >"$work/said"
    expect deep/small aws s3api list-objects-v2 --bucket "$bucket" --query 'Contents[].Key'
    refuse BucketNotEmpty aws s3 rb "s3://$bucket"
    refuse NoSuchBucket aws s3 ls "s3://$bucket-not"
    echo "ok: aws s3 sync, presign, rm, rb"
}

fetch() {
    python3 -c 'import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())' "$1"
}

iam() {
    local trust='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    role=$(aws iam create-role --role-name $name --assume-role-policy-document "$trust" \
        --query Role.Arn)
    expect "$role" aws iam get-role --role-name $name --query Role.Arn
    expect sagemaker.amazonaws.com aws iam get-role --role-name $name \
        --query Role.AssumeRolePolicyDocument.Statement[0].Principal.Service
    refuse EntityAlreadyExists aws iam create-role --role-name $name \
        --assume-role-policy-document "$trust"
    refuse NoSuchEntity aws iam get-role --role-name $name-not
    echo "ok: aws iam create-role, get-role: $role"
}

assume() {
    local key secret token
    read -r key secret token < <(aws sts assume-role --role-arn "$role" --role-session-name me \
        --query 'Credentials.[AccessKeyId, SecretAccessKey, SessionToken]')
    expect "$name/me" env AWS_ACCESS_KEY_ID="$key" AWS_SECRET_ACCESS_KEY="$secret" \
        AWS_SESSION_TOKEN="$token" bash -c "aws sts get-caller-identity --query Arn | cut -d/ -f2-"
    refuse InvalidClientTokenId env AWS_ACCESS_KEY_ID="$key" AWS_SECRET_ACCESS_KEY="$secret" \
        AWS_SESSION_TOKEN="not-$token" aws sts get-caller-identity
    echo "ok: aws sts assume-role, and a call in that role"
}

deploy() {
    aws s3 cp "$archive" "s3://$bucket/model.tar.gz" --no-progress >"$work/said"
    aws sagemaker create-model --model-name $name --execution-role-arn "$role" \
        --primary-container "Image=$image,ModelDataUrl=s3://$bucket/model.tar.gz" \
        --tags Key=team,Value=wind >"$work/said"
    expect "s3://$bucket/model.tar.gz" \
        aws sagemaker describe-model --model-name $name --query PrimaryContainer.ModelDataUrl
    model=$(aws sagemaker describe-model --model-name $name --query ModelArn)
    aws sagemaker add-tags --resource-arn "$model" --tags Key=cost,Value=low >"$work/said"
    expect "cost	low
team	wind" tags_of "$model"
    expect $name aws sagemaker list-models --name-contains $name --query 'Models[].ModelName'
    variant="VariantName=AllTraffic,ModelName=$name,InstanceType=ml.c5.large,InitialInstanceCount"
    for count in 1 2; do
        aws sagemaker create-endpoint-config --endpoint-config-name $name-$count \
            --production-variants "$variant=$count" >"$work/said"
    done
    expect "$name-1 $name-2" list_configs
    arn=$(aws sagemaker create-endpoint --endpoint-name $name --endpoint-config-name $name-1)
    aws sagemaker wait endpoint-in-service --endpoint-name $name
    expect "$arn" aws sagemaker describe-endpoint --endpoint-name $name --query EndpointArn
    expect InService aws sagemaker list-endpoints --name-contains $name \
        --query 'Endpoints[].EndpointStatus'
    echo "ok: aws sagemaker create-*, describe-*, list-*, wait endpoint-in-service"
}

tags_of() {
    aws sagemaker list-tags --resource-arn "$1" --query 'Tags[].[Key, Value]' | sort
}

list_configs() {
    aws sagemaker list-endpoint-configs --name-contains $name --sort-by Name \
        --sort-order Ascending --query 'EndpointConfigs[].EndpointConfigName' | tr '\t' ' '
}

invoke() {
    aws sagemaker-runtime invoke-endpoint --endpoint-name $name \
        --content-type application/json \
        --body '{"instances": [1.0, 2.0, 5.0]}' "$work/answer" >"$work/said"
    tr -d ' \n' <"$work/answer" | grep -qF '{"predictions":[2.5,3.0,4.5]}' ||
        fail "the answer is $(cat "$work/answer")"
    refuse ModelError aws sagemaker-runtime invoke-endpoint --endpoint-name $name \
        --content-type application/json \
        --body '{"instances": ["not a number"]}' "$work/answer"
    echo "ok: aws sagemaker-runtime invoke-endpoint"
}

update() {
    aws sagemaker update-endpoint --endpoint-name $name \
        --endpoint-config-name $name-2 >"$work/said"
    aws sagemaker wait endpoint-in-service --endpoint-name $name
    expect "$name-2	2" aws sagemaker describe-endpoint --endpoint-name $name \
        --query '[EndpointConfigName, ProductionVariants[0].CurrentInstanceCount]'
    aws sagemaker update-endpoint-weights-and-capacities --endpoint-name $name \
        --desired-weights-and-capacities VariantName=AllTraffic,DesiredInstanceCount=1 \
        >"$work/said"
    aws sagemaker wait endpoint-in-service --endpoint-name $name
    expect 1 aws sagemaker describe-endpoint --endpoint-name $name \
        --query 'ProductionVariants[0].CurrentInstanceCount'
    echo "ok: aws sagemaker update-endpoint, update-endpoint-weights-and-capacities"
}

logs() {
    local group=/aws/sagemaker/Endpoints/$name stream
    expect $group aws logs describe-log-groups --log-group-name-prefix $group \
        --query 'logGroups[].logGroupName'
    stream=$(aws logs describe-log-streams --log-group-name $group \
        --order-by LastEventTime --query 'logStreams[0].logStreamName')
    [[ $stream == AllTraffic/* ]] || fail "the stream is '$stream'"
    [ -n "$(aws logs get-log-events --log-group-name $group --log-stream-name "$stream" \
        --start-from-head --limit 5 --query 'events[].message')" ] || fail "the log is empty"
    [ -n "$(aws logs filter-log-events --log-group-name $group --max-items 5 \
        --query 'events[].message')" ] || fail "nothing passes without a filter"
    expect "" aws logs filter-log-events --log-group-name $group \
        --filter-pattern '"no container says this"' --query 'events[].message'
    refuse ResourceNotFoundException aws logs describe-log-streams --log-group-name $group-not
    echo "ok: aws logs describe-log-groups, describe-log-streams, get-log-events, filter-log-events"
}

# The invocations of the last quarter of an hour.
invocations() {
    aws cloudwatch get-metric-statistics --namespace AWS/SageMaker --metric-name Invocations \
        --dimensions Name=EndpointName,Value=$name Name=VariantName,Value=AllTraffic \
        --start-time "$(date -u -d '15 minutes ago' +%FT%TZ)" \
        --end-time "$(date -u -d '1 minute' +%FT%TZ)" --period 60 --statistics Sum \
        --query 'sum(Datapoints[].Sum)'
}

latencies() {
    local metric="{\"Namespace\": \"AWS/SageMaker\", \"MetricName\": \"ModelLatency\", \"Dimensions\": [
        {\"Name\": \"EndpointName\", \"Value\": \"$name\"},
        {\"Name\": \"VariantName\", \"Value\": \"AllTraffic\"}]}"
    aws cloudwatch get-metric-data --start-time "$(date -u -d '15 minutes ago' +%FT%TZ)" \
        --end-time "$(date -u -d '1 minute' +%FT%TZ)" --metric-data-queries "[
            {\"Id\": \"p90\", \"MetricStat\": {\"Metric\": $metric, \"Period\": 60, \"Stat\": \"p90\"}},
            {\"Id\": \"ms\", \"Expression\": \"p90 / 1000\"}]" \
        --query 'MetricDataResults[?Id==`ms`].Values[]'
}

cloudwatch() {
    eventually test_invocations
    [ -n "$(latencies)" ] || fail "there are no latencies"
    aws cloudwatch put-metric-data --namespace AwsCli --metric-name Speed --value 12.5 \
        --unit Count --dimensions Tunnel=one
    eventually test_own_metric
    expect "Speed	Tunnel	one" aws cloudwatch list-metrics --namespace AwsCli \
        --query 'Metrics[].[MetricName, Dimensions[0].Name, Dimensions[0].Value]'
    echo "ok: aws cloudwatch get-metric-statistics, get-metric-data, put-metric-data, list-metrics"
}

test_invocations() {
    [ "$(invocations)" = 2.0 ]
}

test_own_metric() {
    [ "$(aws cloudwatch get-metric-statistics --namespace AwsCli --metric-name Speed \
        --dimensions Name=Tunnel,Value=one --start-time "$(date -u -d '1 hour ago' +%FT%TZ)" \
        --end-time "$(date -u -d '1 minute' +%FT%TZ)" --period 3600 --statistics Maximum \
        --query 'Datapoints[].Maximum')" = 12.5 ]
}

compile() {
    local job=$name-compiled input output create
    input="{\"S3Uri\": \"s3://$bucket/model.tar.gz\", \"Framework\": \"TENSORFLOW\",
        \"DataInputConfig\": \"{\\\"x\\\": [3]}\"}"
    output=S3OutputLocation=s3://$bucket/compiled,TargetDevice
    create="aws sagemaker create-compilation-job --role-arn $role
        --stopping-condition MaxRuntimeInSeconds=300"
    refuse "does not compile for TargetDevice deeplens" $create --compilation-job-name $job \
        --input-config "$input" --output-config "$output=deeplens"
    $create --compilation-job-name $job --input-config "$input" --output-config "$output=ml_g4dn" \
        >"$work/said"
    refuse ResourceInUse $create --compilation-job-name $job --input-config "$input" \
        --output-config "$output=ml_g4dn"
    # AWS has no waiter for these jobs.
    patience=150 eventually has_ended $job
    expect "COMPLETED		s3://$bucket/compiled/model-ml_g4dn.tar.gz" aws sagemaker \
        describe-compilation-job --compilation-job-name $job \
        --query '[CompilationJobStatus, FailureReason, ModelArtifacts.S3ModelArtifacts]'
    expect $job aws sagemaker list-compilation-jobs --name-contains $name \
        --status-equals COMPLETED --query 'CompilationJobSummaries[].CompilationJobName'
    aws s3 ls "s3://$bucket/compiled/" >"$work/listed"
    grep -q " model-ml_g4dn.report.html$" "$work/listed"
    expect /aws/sagemaker/CompilationJobs aws logs describe-log-groups \
        --log-group-name-prefix /aws/sagemaker/Comp --query 'logGroups[].logGroupName'
    [ -n "$(aws logs get-log-events --log-group-name /aws/sagemaker/CompilationJobs \
        --log-stream-name $job --query 'events[].message')" ] || fail "the job's log is empty"
    refuse "in status COMPLETED" aws sagemaker stop-compilation-job --compilation-job-name $job
    echo "ok: aws sagemaker create-compilation-job, describe-*, list-*, stop-*"

    aws sagemaker create-model --model-name $job --execution-role-arn "$role" \
        --primary-container "$(aws sagemaker describe-compilation-job \
            --compilation-job-name $job --output json \
            --query '{Image: InferenceImage, ModelDataUrl: ModelArtifacts.S3ModelArtifacts}')" \
        >"$work/said"
    variant="VariantName=AllTraffic,ModelName=$job,InstanceType=ml.g4dn.xlarge"
    aws sagemaker create-endpoint-config --endpoint-config-name $job \
        --production-variants "$variant,InitialInstanceCount=1" >"$work/said"
    aws sagemaker create-endpoint --endpoint-name $job --endpoint-config-name $job >"$work/said"
    aws sagemaker wait endpoint-in-service --endpoint-name $job
    aws sagemaker-runtime invoke-endpoint --endpoint-name $job --content-type application/json \
        --body '{"instances": [1.0, 2.0, 5.0]}' "$work/answer" >"$work/said"
    tr -d ' \n' <"$work/answer" | grep -qF '{"predictions":[2.5,3.0,4.5]}' ||
        fail "the compiled model's answer is $(cat "$work/answer")"
    aws sagemaker delete-endpoint --endpoint-name $job
    aws sagemaker wait endpoint-deleted --endpoint-name $job
    aws sagemaker delete-endpoint-config --endpoint-config-name $job
    aws sagemaker delete-model --model-name $job
    aws sagemaker delete-compilation-job --compilation-job-name $job
    refuse ResourceNotFound aws sagemaker describe-compilation-job --compilation-job-name $job
    echo "ok: aws sagemaker create-model, create-endpoint of what was compiled"
}

has_ended() {
    [[ $(aws sagemaker describe-compilation-job --compilation-job-name "$1" \
        --query CompilationJobStatus) =~ ^(COMPLETED|FAILED|STOPPED)$ ]]
}

delete() {
    aws sagemaker delete-endpoint --endpoint-name $name
    aws sagemaker wait endpoint-deleted --endpoint-name $name
    for count in 1 2; do
        aws sagemaker delete-endpoint-config --endpoint-config-name $name-$count
    done
    aws sagemaker delete-model --model-name $name
    refuse "Could not find" aws sagemaker describe-model --model-name $name
    expect "" aws sagemaker list-models --name-contains $name --query 'Models[].ModelName'
    aws iam delete-role --role-name $name
    aws s3 rb "s3://$bucket" --force >"$work/said"
    echo "ok: aws sagemaker delete-*, wait endpoint-deleted; aws iam delete-role; aws s3 rb"
}

configure
identity
s3
iam
assume
deploy
invoke
update
logs
cloudwatch
compile
delete
