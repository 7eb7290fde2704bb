"""What it means if the metadata service issues no metadata token, which the hardened mode (v2) begins with.

The normal mode (v1) needs none, and is never used instead.

See: https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata
"""

ENABLE = (
    "ECS console > the instance > All operations > Modify Instance Metadata Settings: enable it, or:\n"
    "aliyun ecs ModifyInstanceMetadataOptions --HttpEndpoint enabled --HttpTokens required --InstanceId i-..."
)


def token_refusal(status: int) -> tuple[str, str]:
    """Return what a status of the response to `PUT /latest/api/token` means, and how to fix it."""
    if status == 404:
        return (
            "issues no metadata token (404): it has only the normal mode (v1), which the signer never uses, or is not "
            "the metadata service of ECS",
            "correct endpoint and unset HTTP_PROXY, or use an instance or a stand-in with the hardened mode (v2)",
        )
    if status == 405:
        return (
            "does not accept PUT for a metadata token (405): there is a proxy in between, or a stand-in with only the "
            "normal mode (v1), which the signer never uses",
            "unset HTTP_PROXY, or let the proxy forward PUT /latest/api/token",
        )
    return f"returned no metadata token ({status})", ENABLE
