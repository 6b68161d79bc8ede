"""The same files on another host, over SFTP."""
