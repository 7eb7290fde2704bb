"""The commands of Alibaba Cloud's CLI that the documents use, with their options, and the checks of their arguments."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

COMMANDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    command: (frozenset(required.split()), frozenset(optional.split()))
    for command, required, optional in (
        # https://help.aliyun.com/zh/ram/developer-reference/api-ram-2015-05-01-overview
        ("ram CreateRole", "RoleName AssumeRolePolicyDocument", "Description MaxSessionDuration"),
        ("ram CreatePolicy", "PolicyName PolicyDocument", "Description"),
        ("ram AttachPolicyToRole", "PolicyType PolicyName RoleName", ""),
        ("ram ListPoliciesForRole", "RoleName", ""),
        # https://help.aliyun.com/zh/sts/developer-reference/api-sts-2015-04-01-getcalleridentity
        ("sts GetCallerIdentity", "", ""),
        # https://help.aliyun.com/zh/ecs/developer-reference/api-ecs-2014-05-26-overview
        (
            "ecs RunInstances",
            "RegionId InstanceType VSwitchId SecurityGroupId",
            "ImageFamily ImageId InternetMaxBandwidthOut KeyPairName RamRoleName HttpTokens InstanceChargeType Period",
        ),
        ("ecs AuthorizeSecurityGroup", "RegionId SecurityGroupId IpProtocol PortRange SourceCidrIp", ""),
        ("ecs AttachInstanceRamRole", "RegionId RamRoleName InstanceIds", ""),
        ("ecs DescribeInstanceRamRole", "RegionId", "RamRoleName InstanceIds"),
        # https://help.aliyun.com/zh/dns/api-alidns-2015-01-09-adddomainrecord
        ("alidns AddDomainRecord", "DomainName RR Type Value", "TTL"),
        # https://help.aliyun.com/zh/oss/developer-reference/mb-create-storage-space
        ("ossutil mb", "region", "acl storage-class redundancy-type"),
        # https://help.aliyun.com/zh/oss/developer-reference/command-line-options
        ("ossutil ls", "region", "endpoint addressing-style"),
        ("ossutil api get-bucket-info", "bucket region", ""),
        # https://help.aliyun.com/zh/oss/developer-reference/put-cname, .../create-cname-token and .../list-cname
        ("ossutil api create-cname-token", "bucket cname-configuration region", ""),
        ("ossutil api put-cname", "bucket cname-configuration region", ""),
        ("ossutil api list-cname", "bucket region", ""),
    )
}
"""The required and the optional options of each command, without the dashes."""

VALUES = {
    "acl": {"private", "public-read", "public-read-write"},
    "addressing-style": {"virtual", "path", "cname"},
    "HttpTokens": {"optional", "required"},
    "InstanceChargeType": {"PrePaid", "PostPaid"},
    "IpProtocol": {"tcp", "udp", "icmp", "gre", "all"},
    "PolicyType": {"Custom", "System"},
    "Type": {"A", "AAAA", "CNAME", "TXT"},
}
CNAME_ELEMENTS = {
    "BucketCnameConfiguration": {"Cname"},
    "Cname": {"Domain", "CertificateConfiguration"},
    "CertificateConfiguration": {"CertId", "Certificate", "PrivateKey", "PreviousCertId", "Force", "DeleteCertificate"},
}
"""See: https://help.aliyun.com/zh/oss/developer-reference/putcname"""


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed command: its name, such as `ecs RunInstances`, its other words, and its options without the dashes."""

    name: str
    words: tuple[str, ...]
    options: Mapping[str, str]


def parse_command(line: str, files: Mapping[str, str]) -> Call:
    """Parse a command; `files` are those that it reads with `$(cat NAME)`.

    Raises:
        AssertionError: The CLI has no such command or option, or a value is not one of its values.
    """
    _, *words = shlex.split(line)
    [name] = [name for name in COMMANDS if words[: name.count(" ") + 1] == name.split()]
    rest = words[name.count(" ") + 1 :]
    first = next((place for place, word in enumerate(rest) if word.startswith("--")), len(rest))
    names, values = rest[first::2], rest[first + 1 :: 2]
    assert all(each.startswith("--") for each in names), line
    options = {option.removeprefix("--"): value for option, value in zip(names, values, strict=True)}
    required, optional = COMMANDS[name]
    assert required <= set(options) <= required | optional, line
    for option, value in options.items():
        assert value in VALUES.get(option, {value}), f"--{option} {value}"
        if value.startswith("$(cat "):
            options[option] = files[value.removeprefix("$(cat ").removesuffix(")")]
    return Call(name, tuple(rest[:first]), options)


def cname_of(configuration: str) -> Mapping[str, str]:
    """Return the settings of a `--cname-configuration`, in XML or JSON, with those of the certificate."""
    if configuration.startswith("<"):
        root = ElementTree.fromstring(configuration)
        assert root.tag == "BucketCnameConfiguration"
        for element in root.iter():
            assert {child.tag for child in element} <= CNAME_ELEMENTS.get(element.tag, set()), element.tag
        return {element.tag: element.text or "" for element in root.iter() if not len(element)}
    document = json.loads(configuration)
    assert set(document) == {"Cname"}
    assert set(document["Cname"]) == {"Domain"}
    return dict(document["Cname"])
