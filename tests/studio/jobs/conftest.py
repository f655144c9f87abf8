"""A real Redis server of the tests' own, where there is one."""

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; the test is skipped where server or client is missing."""
    redis = pytest.importorskip("redis", reason="the extra `studio-redis` is not installed")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    place = tmp_path_factory.mktemp("redis")
    words = [program, "--port", "0", "--unixsocket", str(place / "r.sock"), "--dir", str(place), "--save", ""]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(unix_socket_path=str(place / "r.sock"))
        until = time.monotonic() + 120
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        client.close()
        yield f"unix://{place / 'r.sock'}"
        process.terminate()
