"""BullMQ on Node: bullmq_jobs.js with the packages that NODE_PATH names. Nearly all its scripts make names of
keys from what they find in others.
"""
import json
import os
import sys

from server import Child, Traffic, children, main_on_servers, same

HERE = os.path.dirname(os.path.realpath(__file__))


def queues(server):
    with children() as alive, Traffic(server) as traffic:
        alive.append(Child("node", os.path.join(HERE, "bullmq_jobs.js"), str(server.port)))
        same(alive[0].process.wait(timeout=180), 0)
    sys.stdout.write(alive[0].log())
    traffic.had("EVALSHA", "BZPOPMIN", "XREAD", "XADD", "HGETALL" if traffic.commands["HGETALL"] else "HGET")


if __name__ == "__main__":
    version = lambda name: json.load(open(os.path.join(os.environ["NODE_PATH"], name, "package.json")))["version"]  # noqa: E731
    print("BullMQ %s, ioredis %s" % (version("bullmq"), version("ioredis")))
    main_on_servers(queues)
