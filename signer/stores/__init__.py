"""The places where definitions are stored: files, HTTP servers, OSS and Redis."""
