"""Does anybody write? Between two looks: requests of Flotilla's users in the API server's log, and changed rows of
every table (the servers' catalogs, too) in the fleet database, the pool's maintenance database and each tenant's."""

import time

import psycopg2

from . import kube_audit
from .database import with_database

# A session reports its counters at the latest when it was idle for so long (PGSTAT_IDLE_INTERVAL, and a second).
REPORT_S = 11.5
_COUNTERS = """
    SELECT CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.' END || relname, n_tup_ins + n_tup_upd + n_tup_del
    FROM pg_stat_all_tables WHERE relname NOT IN ('pg_statistic', 'pg_toast_2619')"""


def _counters(conninfo):
    connection = psycopg2.connect(conninfo)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_COUNTERS)
            return dict(cursor.fetchall())
    finally:
        connection.close()


class Watch:
    """look() tells what was written since the look before; the first one only begins."""

    def __init__(self, world):
        env = world.stack.env
        self.kube = kube_audit.KubeAudit(world.stack)
        self.places = {"fleet": world.db.admin,
                       "maintenance": with_database(env["POOL_PG_SUPER"], env["POOL_PG_MAINTENANCE_DATABASE"])}
        for name, _ in world.externals()[0]:
            self.places[name] = with_database(env["POOL_PG_SUPER"], name)
        self.before, self.at = {}, 0
        self.look()

    def look(self):
        """({place.table: changed rows}, [requests], seconds). Waits first until each session has reported."""
        time.sleep(REPORT_S)
        requests, now = self.kube.writes(), time.monotonic()
        counters = {f"{place}.{table}": count for place, conninfo in self.places.items()
                    for table, count in _counters(conninfo).items()}
        rows = {name: count - self.before.get(name, 0) for name, count in counters.items() if count != self.before.get(name, 0)}
        seconds, self.before, self.at = now - self.at, counters, now
        return rows, requests, seconds
