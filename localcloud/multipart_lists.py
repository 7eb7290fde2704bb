"""ListParts and ListMultipartUploads.

See: https://help.aliyun.com/zh/oss/developer-reference/listparts and .../listmultipartuploads
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from localcloud.listing import common_prefix, encoder, limit
from localcloud.multipart_store import MultipartUpload, MultipartUploads, Part
from localcloud.oss_errors import invalid_argument
from localcloud.oss_xml import elements, oss_time, xml_response
from localcloud.world import Bucket


def list_parts(uploads: MultipartUploads, query: Mapping[str, str], bucket: Bucket, key: str) -> web.Response:
    encode, encoding = encoder(query)
    most = limit(query, "max-parts")
    marker = query.get("part-number-marker", "0")
    if not marker.isdecimal() or not marker.isascii():
        message = "Argument part-number-marker must be an integer."
        raise invalid_argument(message, "", "part-number-marker", marker)
    upload = uploads.find(bucket.name, key, query["uploadId"])
    found = [upload.parts[number] for number in sorted(upload.parts) if number > int(marker)]
    shown, is_truncated = found[:most], len(found) > most
    members = elements(
        {
            "EncodingType": encoding,
            "Bucket": bucket.name,
            "Key": encode(key),
            "UploadId": upload.id,
            "StorageClass": upload.storage_class,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": shown[-1].number if shown else marker,
            "MaxParts": most,
            "IsTruncated": is_truncated,
        }
    )
    return xml_response(f"<ListPartsResult>{members}{''.join(map(_part, shown))}</ListPartsResult>")


def _part(part: Part) -> str:
    members = elements(
        {
            "PartNumber": part.number,
            "LastModified": oss_time(part.last_modified),
            "ETag": part.etag,
            "HashCrc64ecma": part.crc64,
            "Size": part.size_bytes,
        }
    )
    return f"<Part>{members}</Part>"


def list_multipart_uploads(uploads: MultipartUploads, query: Mapping[str, str], bucket: Bucket) -> web.Response:
    """A group of keys with one common prefix counts as one entry, like an upload."""
    encode, encoding = encoder(query)
    most = limit(query, "max-uploads")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    id_marker = query.get("upload-id-marker", "") if key_marker else ""
    shown: list[MultipartUpload] = []
    prefixes: list[str] = []
    last = (key_marker, id_marker)
    is_truncated = False
    for upload in uploads.list(bucket.name):
        if not upload.key.startswith(prefix) or not _is_after(upload, key_marker, id_marker):
            continue
        group = common_prefix(upload.key, prefix, delimiter)
        if group is not None and (group in prefixes or group == key_marker):
            continue
        if len(shown) + len(prefixes) == most:
            is_truncated = True
            break
        if group is None:
            shown.append(upload)
            last = upload.key, upload.id
        else:
            prefixes.append(group)
            last = group, ""
    members = elements(
        {
            "EncodingType": encoding,
            "Bucket": bucket.name,
            "KeyMarker": encode(key_marker),
            "UploadIdMarker": id_marker,
            "NextKeyMarker": encode(last[0]) if is_truncated else "",
            "NextUploadIdMarker": last[1] if is_truncated else "",
            "Delimiter": encode(delimiter),
            "Prefix": encode(prefix),
            "MaxUploads": most,
            "IsTruncated": is_truncated,
        }
    )
    entries = "".join(_upload(each, encode(each.key)) for each in shown)
    groups = "".join(f"<CommonPrefixes>{elements({'Prefix': encode(each)})}</CommonPrefixes>" for each in prefixes)
    return xml_response(f"<ListMultipartUploadsResult>{members}{entries}{groups}</ListMultipartUploadsResult>")


def _is_after(upload: MultipartUpload, key_marker: str, id_marker: str) -> bool:
    """Without an id, the marker excludes all uploads to its key."""
    return upload.key > key_marker or (upload.key == key_marker and bool(id_marker) and upload.id > id_marker)


def _upload(upload: MultipartUpload, key: str) -> str:
    members = elements(
        {
            "Key": key,
            "UploadId": upload.id,
            "StorageClass": upload.storage_class,
            "Initiated": oss_time(upload.initiated),
        }
    )
    return f"<Upload>{members}</Upload>"
