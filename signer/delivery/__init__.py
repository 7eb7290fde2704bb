"""OSS upload callbacks: receive, verify, queue and deliver them."""
