"""A process that is stopped while it holds the lease, and woken after another has taken over."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE

from ai_suricata.state.clients import connect
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease
from fakes.redis_servers import valkey

HOLDER = """
import asyncio, sys
from ai_suricata.config.settings import RedisSettings
from ai_suricata.state.clients import connect
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease

async def hold(port):
    client = connect(RedisSettings(host="127.0.0.1", port=port))
    lease = RedisLease(client, Keys("t"))
    grant = await lease.take("training_lock", "first", 1.0)
    print(grant.token, flush=True)
    sys.stdin.readline()
    print(await lease.write(grant, "models:artifact", b"older"), flush=True)
    await client.aclose()

asyncio.run(hold(int(sys.argv[1])))
"""
"""Takes the lease, waits for a word, and writes in its name."""


async def _take_over(lease: RedisLease) -> int:
    """Take the lease as soon as it has run out, and write; return the fencing token."""
    async with asyncio.timeout(20):
        while (grant := await lease.take("training_lock", "second", 30.0)) is None:
            await asyncio.sleep(0.05)
    assert await lease.write(grant, "models:artifact", b"newer")
    return grant.token


async def test_a_holder_that_was_stopped_and_replaced_cannot_write_when_it_wakes() -> None:
    """Stopped by the kernel (SIGSTOP), it can't know that its time has passed."""
    with valkey() as server:
        holder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOLDER, str(server.port)), stdin=PIPE, stdout=PIPE
        )
        assert holder.stdout is not None
        client = connect(server.settings())
        lease = RedisLease(client, Keys("t"))
        try:
            first = int(await holder.stdout.readline())
            holder.send_signal(signal.SIGSTOP)
            second = await _take_over(lease)
            holder.send_signal(signal.SIGCONT)
            async with asyncio.timeout(20):
                wrote, _ = await holder.communicate(b"write\n")

            assert wrote.strip() == b"False"
            assert await lease.read("models:artifact") == b"newer"
            assert first < second
        finally:
            await client.aclose()
            if holder.returncode is None:
                holder.kill()
                await holder.wait()
