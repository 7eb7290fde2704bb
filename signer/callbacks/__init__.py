"""OSS's upload callbacks: who calls, which upload it is of, and handing it on so that none is lost."""
