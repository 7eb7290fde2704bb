"""ListParts and ListMultipartUploads.

See: https://help.aliyun.com/zh/oss/developer-reference/listparts and .../listmultipartuploads
"""

from __future__ import annotations

from aiohttp import web

from localcloud.integers import parse_integer
from localcloud.listing import Page, encoder, limit, page_of
from localcloud.multipart_store import MultipartUpload, MultipartUploads, Part
from localcloud.oss_errors import invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, oss_time, xml_response

_MAX_MARKER = 2**31 - 1


async def list_parts(uploads: MultipartUploads, request: OssRequest) -> web.Response:
    query, bucket, key = request.query, request.bucket, request.key
    encode, encoding = encoder(query)
    most = limit(query, "max-parts")
    marker = query.get("part-number-marker") or "0"  # oss2 sends it empty
    after = parse_integer(marker, _MAX_MARKER)
    if after is None:
        message = "Argument part-number-marker must be an integer."
        raise invalid_argument(message, "", "part-number-marker", marker)
    upload = uploads.find(bucket.name, key, query["uploadId"])
    found = [upload.parts[number] for number in sorted(upload.parts) if number > after]
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


async def list_multipart_uploads(uploads: MultipartUploads, request: OssRequest) -> web.Response:
    query, bucket = request.query, request.bucket
    encode, encoding = encoder(query)
    most = limit(query, "max-uploads")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    id_marker = query.get("upload-id-marker", "") if key_marker else ""
    behind = [(each.key, each) for each in uploads.list(bucket.name) if _is_after(each, key_marker, id_marker)]
    page = page_of(behind, most=most, prefix=prefix, delimiter=delimiter, after=key_marker)
    next_key, next_id = _next_markers(page)
    members = elements(
        {
            "EncodingType": encoding,
            "Bucket": bucket.name,
            "KeyMarker": encode(key_marker),
            "UploadIdMarker": id_marker,
            "NextKeyMarker": encode(next_key),
            "NextUploadIdMarker": next_id,
            "Delimiter": encode(delimiter),
            "Prefix": encode(prefix),
            "MaxUploads": most,
            "IsTruncated": page.is_truncated,
        }
    )
    entries = "".join(_upload(each, encode(each.key)) for each in page.entries)
    return xml_response(
        f"<ListMultipartUploadsResult>{members}{entries}{page.prefix_elements(encode)}</ListMultipartUploadsResult>"
    )


def _next_markers(page: Page[MultipartUpload]) -> tuple[str, str]:
    if not page.is_truncated or page.last is None:
        return "", ""
    return (page.last, "") if isinstance(page.last, str) else (page.last.key, page.last.id)


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
