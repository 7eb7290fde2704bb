"""Definitions for the status page: fifty apps, and one role without a token."""

from __future__ import annotations

from tests.harness.local_cloud import Cloud

SECRET = "plAnted-secret-of-an-AccessKey"
MARKUP = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
SHOPS = "Photo wall,Tea house,Running club,Parcel locker,School bus,Pet clinic,Market stall,Choir,Repair desk,Museum"
ROLES = """\
  uploader: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  marketing: {{type: assume_role, endpoint: "{cloud.sts}", duration: 1h}}
  logistics: {{type: assume_role, endpoint: "{cloud.sts}", duration: 45m, session_name: logistics}}
  archive: {{type: assume_role, endpoint: "{cloud.sts}", duration: 30m, session_name: archive}}
  partner:
    type: assume_role
    endpoint: "{cloud.sts}"
    role_arn: acs:ram::9876543210987654:role/oss-upload
    access_key_id: LTAI-gone
    access_key_secret: {secret}
"""


def definitions(cloud: Cloud, *, first_name: str = MARKUP) -> str:
    """Return the YAML; `first_name` is the name of the first app."""
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\ncredentials:\n'
    roles = ["uploader", "marketing", "logistics", "archive"]
    shops = SHOPS.split(",")
    apps = []
    for number in range(50):
        shop = shops[number % len(shops)]
        role = "partner" if number in (17, 34) else roles[number * 7 % 13 % 4]
        name = first_name if number == 0 else f"{shop} {'ABCDE'[number // 10]}"
        bucket = f"{shop.lower().replace(' ', '-')}-prod"
        limit = ", rate_limit: {per_app: 6/m}" if number == 1 else ""
        apps.append(f'  {app_id(number)}: {{name: "{name}", bucket: {bucket}, credentials: {role}{limit}}}\n')
    defaults = "defaults: {region: cn-hangzhou, key_prefix: '{yyyy}/{mm}/', max_size: 10MiB}\napps:\n"
    return head + ROLES.format(cloud=cloud, secret=SECRET) + defaults + "".join(apps)


def app_id(number: int) -> str:
    """Return the id of an app."""
    return f"wx{number * 0x9E3779B97F4A7C15 % 2**64:016x}"
