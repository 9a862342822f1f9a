"""boto3, as its documentation uploads large files: parts of 8 MiB by ten threads."""

import json
import os
import time

import boto3
from botocore.config import Config


def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


client = boto3.client(
    "s3",
    endpoint_url=os.environ["BENCH_ENDPOINT"],
    region_name="us-east-1",
    aws_access_key_id=os.environ["BENCH_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["BENCH_SECRET_ACCESS_KEY"],
    config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
)
client.list_objects_v2(Bucket=os.environ["BENCH_BUCKET"], MaxKeys=1)
idle = status("VmRSS:")
start = time.perf_counter()
client.upload_file(os.environ["BENCH_FILE"], os.environ["BENCH_BUCKET"], os.environ["BENCH_KEY"])
print(json.dumps({"seconds": time.perf_counter() - start, "kib_above_idle": status("VmHWM:") - idle}))
