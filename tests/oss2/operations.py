"""Runs the calls of oss2 against the local cloud: `python operations.py VERSION`, with its options as JSON on stdin.

Prints what each call found, as JSON. It runs in the virtual environment of this directory.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
from oss2 import models

KEY = "照片/a b+c.txt"
PART_BYTES = 100 * 1024
given = json.load(sys.stdin)
auth = oss2.make_auth("LTAI-local", "local-secret", sys.argv[1])
bucket = oss2.Bucket(auth, given["endpoint"], given["bucket"], region="cn-hangzhou")
service = oss2.Service(auth, given["endpoint"], region="cn-hangzhou")


def code(call: Callable[[], Any]) -> str:
    """Return the error of a call that OSS refuses."""
    try:
        call()
    except oss2.exceptions.ServerError as error:
        return str(error.code or error.status)
    return "no error"


def objects() -> dict[str, Any]:
    """Return what the calls for objects found."""
    found: dict[str, Any] = {}
    found["put"] = bucket.put_object(KEY, b"hello", headers={"x-oss-meta-team": "a", "Content-Type": "text/x"}).status
    found["get"] = bucket.get_object(KEY).read().decode()
    head = bucket.head_object(KEY)
    found["head"] = [head.headers["x-oss-meta-team"], head.content_type, head.content_length]
    found["meta"] = bucket.get_object_meta(KEY).etag
    found["unmodified"] = code(lambda: bucket.get_object(KEY, headers={"If-None-Match": f'"{head.etag}"'}))
    found["range"] = bucket.get_object(KEY, byte_range=(1, 2)).read().decode()
    found["url"] = bucket.get_object_with_url(bucket.sign_url("GET", KEY, 60, slash_safe=True)).read().decode()
    bucket.put_object_acl(KEY, oss2.OBJECT_ACL_PUBLIC_READ)
    found["acl"] = bucket.get_object_acl(KEY).acl
    rule = models.TaggingRule()
    rule.add("team", "a b")
    bucket.put_object_tagging(KEY, models.Tagging(rule))
    found["tags"] = bucket.get_object_tagging(KEY).tag_set.tagging_rule
    bucket.delete_object_tagging(KEY)
    found["untagged"] = bucket.get_object_tagging(KEY).tag_set.tagging_rule
    bucket.copy_object(bucket.bucket_name, KEY, "copy.txt")
    found["copy"] = bucket.get_object("copy.txt").read().decode()
    bucket.update_object_meta("copy.txt", {"x-oss-meta-team": "b"})
    found["new_meta"] = bucket.head_object("copy.txt").headers["x-oss-meta-team"]
    position = bucket.append_object("log", 0, b"ab").next_position
    bucket.append_object("log", position, b"cd")
    found["append"] = bucket.get_object("log").read().decode()
    bucket.put_symlink("log", "link")
    found["symlink"] = [bucket.get_symlink("link").target_key, bucket.get_object("link").read().decode()]
    found["list"] = [each.key for each in oss2.ObjectIterator(bucket, delimiter="/", max_keys=1)]
    found["list_v2"] = [each.key for each in oss2.ObjectIteratorV2(bucket, prefix="照", max_keys=1)]
    found["exists"] = [bucket.object_exists(KEY), bucket.object_exists("missing")]
    found["deleted"] = sorted(bucket.batch_delete_objects(["copy.txt", "link", "log"]).deleted_keys)
    bucket.delete_object(KEY)
    found["missing"] = code(lambda: bucket.get_object(KEY))
    return found


def parts() -> dict[str, Any]:
    """Return what multipart uploads found."""
    found: dict[str, Any] = {}
    content = bytes(range(256)) * 1200
    with tempfile.TemporaryDirectory() as directory:
        (file := Path(directory) / "video.mp4").write_bytes(content)
        store = oss2.ResumableStore(root=directory)
        options = {"multipart_threshold": PART_BYTES, "part_size": PART_BYTES, "num_threads": 2, "store": store}
        done = oss2.resumable_upload(bucket, "视频.mp4", str(file), **options)
        found["resumable"] = [done.status, bucket.get_object("视频.mp4").read() == content]
    upload = bucket.init_multipart_upload("abandoned").upload_id
    found["part"] = bucket.upload_part("abandoned", upload, 1, b"x" * PART_BYTES).status
    found["parts"] = [(each.part_number, each.size) for each in oss2.PartIterator(bucket, "abandoned", upload)]
    found["uploads"] = [each.key for each in oss2.MultipartUploadIterator(bucket)]
    bucket.abort_multipart_upload("abandoned", upload)
    found["aborted"] = code(lambda: bucket.list_parts("abandoned", upload))
    bucket.delete_object("视频.mp4")
    return found


def buckets() -> dict[str, Any]:
    """Return what the calls for buckets found."""
    found: dict[str, Any] = {}
    found["buckets"] = [each.name for each in oss2.BucketIterator(service)]
    albums = oss2.Bucket(auth, given["endpoint"], "albums", region="cn-hangzhou")
    albums.create_bucket(oss2.BUCKET_ACL_PRIVATE)
    found["info"] = albums.get_bucket_info().name
    found["location"] = albums.get_bucket_location().location
    found["bucket_acl"] = albums.get_bucket_acl().acl
    cors = models.CorsRule(allowed_origins=["*"], allowed_methods=["PUT"], expose_headers=["ETag"])
    bucket.put_bucket_cors(models.BucketCors([cors]))
    found["cors"] = bucket.get_bucket_cors().rules[0].allowed_methods
    bucket.delete_bucket_cors()
    found["no_cors"] = code(bucket.get_bucket_cors)
    rule = models.LifecycleRule("parts", "", abort_multipart_upload=models.AbortMultipartUpload(days=3))
    bucket.put_bucket_lifecycle(models.BucketLifecycle([rule]))
    found["lifecycle"] = bucket.get_bucket_lifecycle().rules[0].abort_multipart_upload.days
    bucket.delete_bucket_lifecycle()
    found["no_lifecycle"] = code(bucket.get_bucket_lifecycle)
    return found


print(json.dumps({**objects(), **parts(), **buckets()}))
