"""Compilation jobs: their records, the operations on them, and a runner for each that is not done.

What a job has come to is its record; the runner brings it on. Both change the record through
`_apply`, which keeps to the table of `lifecycle.py` and commits before anybody can see.
"""

import asyncio
import functools

from windtunnel.aws.arn import sagemaker_arn
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.jobs import places
from windtunnel.cloud.jobs.lifecycle import SETTLED, Event, IllegalTransitionError, Status
from windtunnel.cloud.jobs.records import CompilationJob, Product
from windtunnel.cloud.jobs.runner import Runner
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.records import Document, tags_of
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

_CUT_SHORT = (
    "InternalError: The local cloud ended while the job was under way. Create the job again, under "
    "another name."
)


class CompilationJobs:
    """The operations on compilation jobs."""

    def __init__(self, store: Store, workshop: Workshop, clock: Clock, region: str) -> None:
        self.records = Collection(store, "compilation-job", CompilationJob.from_document)
        self._workshop = workshop
        self._clock = clock
        self._region = region
        self._turns = asyncio.Semaphore(limits.COMPILATION_COUNT_MAX)
        self._runners: dict[str, Runner] = {}

    # --- start and end of the cloud ---------------------------------------------------------------

    async def resume(self) -> None:
        """Begin the jobs that had not begun; say of the others that they were cut short."""
        await self._workshop.tidy()
        unsettled = [job for job in self.records.all() if job.status not in SETTLED]
        resumed = []
        for job in unsettled:
            reason = _CUT_SHORT if job.status is Status.INPROGRESS else ""
            changed = job.after(Event.CLOUD_RESTARTED, self._now_s(), failure_reason=reason)
            assert changed is not None, "a restart ends no job"
            resumed.append(changed)
        if resumed:
            await self.records.put_all(resumed)
        for job in sorted(resumed, key=lambda job: job.created_s):
            if job.status is Status.STARTING:
                self._run(job)

    async def close(self) -> None:
        """Cut short what is under way; jobs that wait begin at the next start."""
        runners = list(self._runners.values())
        self._runners.clear()
        await asyncio.gather(*(runner.close() for runner in runners))

    # --- operations -------------------------------------------------------------------------------

    async def create(self, request: Document) -> Document:
        """Remember a job and let it wait for its turn."""
        name = request["compilation_job_name"]
        places.check(request)
        _check_runtime(request["stopping_condition"])
        arn = self.arn(name)
        taken = wording.name_taken(arn)
        if self.records.find(name) is not None:
            raise taken
        if len(self._runners) >= limits.COMPILATION_QUEUE_COUNT_MAX:
            raise LimitExceededError(
                f"Up to {limits.COMPILATION_QUEUE_COUNT_MAX} compilation jobs may be under way or "
                "wait in this local cloud: stop some, or wait until some are done."
            )
        kept = {key: value for key, value in request.items() if key != "tags"}
        now_s = self._now_s()
        job = CompilationJob(name, arn, now_s, now_s, kept, tags=tags_of(request))
        await self.records.create(job, taken)
        self._run(job)
        return {"compilation_job_arn": arn}

    async def describe(self, request: Document) -> Document:
        """Return a job as it is now."""
        job = self.find(request["compilation_job_name"])
        return described(job, self._region)

    async def list(self, request: Document) -> Document:
        """Return a page of the jobs."""
        # "The default is Ascending" (botocore's page on ListCompilationJobs, `SortOrder`).
        chosen, token = listed(self.records.all(), {"sort_order": "Ascending", **request})
        return {"compilation_job_summaries": list(map(summarised, chosen)), "next_token": token}

    async def stop(self, request: Document) -> Document:
        """Begin to end a job's work."""
        job = self.find(request["compilation_job_name"])
        try:
            await self._apply(job.name, Event.STOP_REQUESTED)
        except IllegalTransitionError as error:
            raise wording.job_in_status(error.status) from None
        runner = self._runners.get(job.name.lower())
        # There is none when the cloud is ending; the next one knows that it was stopped.
        if runner is not None:
            runner.stop()
        return {}

    async def delete(self, request: Document) -> Document:
        """Forget a job that has ended; what it delivered stays."""
        job = self.find(request["compilation_job_name"])
        try:
            await self._apply(job.name, Event.DELETE_REQUESTED)
        except IllegalTransitionError as error:
            raise wording.job_in_status(error.status) from None
        return {}

    # --- records ----------------------------------------------------------------------------------

    def arn(self, name: str) -> str:
        """Return the ARN that a name has or would have."""
        return sagemaker_arn(self._region, ACCOUNT_ID, "compilation-job", name)

    def find(self, name: str) -> CompilationJob:
        """Return a job, or say that there is none."""
        job = self.records.find(name)
        if job is None:
            raise wording.not_found("compilation-job", self.arn(name))
        return job

    async def _apply(
        self,
        name: str,
        event: Event,
        *,
        failure_reason: str = "",
        product: Product | None = None,
    ) -> None:
        """Commit what an event makes of a job."""
        async with self.records.held(name):
            changed = self.find(name).after(
                event, self._now_s(), failure_reason=failure_reason, product=product
            )
            if changed is None:
                await self.records.remove(name)
                return
            await self.records.put(changed)
            if changed.status in SETTLED:
                self._runners.pop(name.lower(), None)

    def _run(self, job: CompilationJob) -> None:
        apply = functools.partial(self._apply, job.name)
        self._runners[job.name.lower()] = Runner(job, self._workshop, self._turns, apply)

    def _now_s(self) -> float:
        # What clients are told has milliseconds; what they filter by must be the same.
        return round(self._clock.now_s(), 3)


def described(job: CompilationJob, region: str) -> Document:
    """Return everything that DescribeCompilationJob tells of a job."""
    product = job.product
    derived = None if product is None else product.derived_data_input_config
    return {
        **job.request,
        "compilation_job_arn": job.arn,
        "compilation_job_status": job.status,
        "compilation_start_time": job.started_s,
        "compilation_end_time": job.ended_s,
        "creation_time": job.created_s,
        "last_modified_time": job.modified_s,
        "failure_reason": job.failure_reason,
        # "the location in Amazon S3 that has been configured for storing the model artifacts"
        # (botocore's page on DescribeCompilationJob): it is known from the beginning.
        "model_artifacts": {"s3_model_artifacts": places.output_of(job.request).url},
        "inference_image": places.image_of(job.request, region),
        "model_digests": None if product is None else {"artifact_digest": product.artifact_digest},
        "derived_information": None if derived is None else {"derived_data_input_config": derived},
    }


def summarised(job: CompilationJob) -> Document:
    """Return what ListCompilationJobs tells of a job."""
    config = job.request["output_config"]
    platform = config.get("target_platform") or {}
    return {
        "compilation_job_name": job.name,
        "compilation_job_arn": job.arn,
        "creation_time": job.created_s,
        "compilation_start_time": job.started_s,
        "compilation_end_time": job.ended_s,
        "compilation_target_device": config.get("target_device"),
        "compilation_target_platform_os": platform.get("os"),
        "compilation_target_platform_arch": platform.get("arch"),
        "compilation_target_platform_accelerator": platform.get("accelerator"),
        "last_modified_time": job.modified_s,
        "compilation_job_status": job.status,
    }


def _check_runtime(condition: Document) -> None:
    runtime_s = condition.get("max_runtime_in_seconds")
    if runtime_s is not None and runtime_s > limits.COMPILATION_RUNTIME_S_MAX:
        raise InvalidError(
            f"StoppingCondition.MaxRuntimeInSeconds may be {limits.COMPILATION_RUNTIME_S_MAX} at "
            f"most (28 days): {runtime_s} was asked for."
        )
