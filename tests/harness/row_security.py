"""Row security of the fleet's database, asked of the catalogue and tried as the role that `serve` uses.

A table with a tenant in it must be under a policy; one without must be listed here with the reason.
"""

import contextlib

import psycopg2
from psycopg2 import errorcodes

SERVE = "flotilla_serve"
DENIED, UNIQUE = errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.UNIQUE_VIOLATION

# Tables that hold nothing of a tenant, and what `serve` may read of them with a tenant's scope: all, or nothing.
OF_NOBODY = {
    "plan": ("all", "what is sold is public"),
    "schema_migration": ("all", "serve checks the schema's version"),
    "cell": ("nothing", "where things run is the provider's"),
    "status_counter": ("nothing", "counts over all tenants are the provider's"),
    "cell_lease": ("refused", "the fleet's own"),
}

_TABLES = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
           (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attname = 'tenant_id'),
           EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
                   AND (p.polroles = '{0}' OR (SELECT oid FROM pg_roles WHERE rolname = %s) = ANY (p.polroles)))
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1"""


def tenant_tables(database):
    """{table: its tenant's column}"""
    found = {row[0]: row[4] for row in database.query(_TABLES, SERVE) if row[4]}
    return {"tenant": "id", **found}


def complaints(database):
    """What the catalogue says against row security; empty = none."""
    found = []
    for name, enabled, forced, owner, tenant, policy in database.query(_TABLES, SERVE):
        if owner == SERVE:
            found.append(f"{name}: owned by {SERVE}")
        if tenant or name == "tenant":
            found += [f"{name}: {what}" for what, holds in
                      (("row security is off", enabled), ("not forced on its owner", forced), ("no policy", policy)) if not holds]
        elif name not in OF_NOBODY:
            found.append(f"{name}: has no tenant_id, and no row in OF_NOBODY says why")
    role = database.query("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = %s", SERVE)[0]
    found += [f"{SERVE} is {what}" for what, is_so in zip(("superuser", "BYPASSRLS", "CREATEROLE"), role) if is_so]
    above = database.query("SELECT rolname FROM pg_roles WHERE rolname <> %s AND pg_has_role(%s, oid, 'MEMBER')", SERVE, SERVE)
    found += [f"{SERVE} is a member of {row[0]}" for row in above]
    views = database.query("""
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
        AND NOT coalesce(reloptions @> '{security_invoker=true}', false)""")
    return found + [f"view {row[0]}: runs with its owner's rights" for row in views]


class Scope:
    """A session as serve's, in one tenant's scope; nothing that it does stays."""

    def __init__(self, database):
        self.connection = psycopg2.connect(database.serve)

    def close(self):
        self.connection.close()

    @contextlib.contextmanager
    def acting(self, tenant):
        """A transaction as server/store begins it, rolled back at its end. None: no tenant was set."""
        cursor = self.connection.cursor()
        try:
            if tenant is not None:
                cursor.execute("SELECT set_config('flotilla.tenant', %s, true)", [tenant])
            yield cursor
        finally:
            self.connection.rollback()

    def attempt(self, tenant, statement, args=()):
        """(rows seen or touched, SQLSTATE or None, message)"""
        with self.acting(tenant) as cursor:
            try:
                cursor.execute(statement, args)
                rows = cursor.fetchone()[0] if cursor.description else cursor.rowcount
                return rows, None, ""
            except psycopg2.Error as error:
                return 0, error.pgcode, str(error)


def statements(database, table, column):
    """[(what, SQL with one %s for the owner of the rows)]: every kind of access that serve's grants allow here."""
    columns = database.query(
        """SELECT attname, attidentity = 'a', has_column_privilege(%s, attrelid, attnum, 'UPDATE')
           FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped""", SERVE, table)
    may = dict(zip(("INSERT", "DELETE"), database.query(
        "SELECT has_table_privilege(%s, %s, 'INSERT'), has_table_privilege(%s, %s, 'DELETE')", SERVE, table, SERVE, table)[0]))
    found = [("SELECT", f"SELECT count(*) FROM {table} WHERE {column} = %s")]
    updatable = next((name for name, _, may_update in columns if may_update), None)
    if updatable:
        found.append(("UPDATE", f"UPDATE {table} SET {updatable} = {updatable} WHERE {column} = %s"))
    if may["DELETE"]:
        found.append(("DELETE", f"DELETE FROM {table} WHERE {column} = %s"))
    if may["INSERT"]:
        found.append(("INSERT", _insert(database, table, column, [name for name, always, _ in columns if not always])))
    return found


def _insert(database, table, column, names):
    """The owner's first row once more, as literals: policies are asked before unique indexes are."""
    row_of = ", ".join(f"quote_nullable({name})" for name in names)
    listed = ", ".join(names)

    def sql(tenant):
        values = database.query(f"SELECT {row_of} FROM {table} WHERE {column} = %s LIMIT 1", tenant)[0]
        return f"INSERT INTO {table} ({listed}) VALUES ({', '.join(values)})".replace("%", "%%")

    return sql


def breaches(database, tenants, count=lambda: None, tables=None):
    """Tries every access of every tenant to every other's rows, each between two of the owner's own that succeed.

    Returns what went through, or was refused otherwise than it should be. count() is called once per refusal.
    Every tenant must have a row in each table."""
    found = []
    scope = Scope(database)
    try:
        for table, column in tenant_tables(database).items():
            if tables and table not in tables:
                continue
            for what, sql in statements(database, table, column):
                for owner in tenants:
                    statement, args = (sql(owner), ()) if callable(sql) else (sql, (owner,))
                    for stranger in [other for other in tenants if other != owner] + [None, ""]:
                        own = [scope.attempt(owner, statement, args)]
                        rows, state, message = scope.attempt(stranger, statement, args)
                        own.append(scope.attempt(owner, statement, args))
                        count()
                        found += _judge(f"{what} of {table}", own, rows, state, message)
    finally:
        scope.close()
    return found


def _judge(what, own, rows, state, message):
    if what.startswith("INSERT"):
        refused = state == DENIED and "row-level security" in message
        allowed = all(own_state in (None, UNIQUE) for _, own_state, _ in own)
    else:
        refused = state is None and rows == 0
        allowed = all(own_rows > 0 for own_rows, _, _ in own)
    if what == "INSERT of tenant":  # only the provider makes tenants and sets their limits: its policy refuses both
        allowed = all(own_state == DENIED for _, own_state, _ in own)
    elif what == "UPDATE of tenant":
        allowed = all((own_rows, own_state) == (0, None) for own_rows, own_state, _ in own)
    found = [] if refused else [f"{what} by a stranger: {rows} rows, {state}"]
    return found + ([] if allowed else [f"{what} by the owner does not work: {own}"])


def unlisted(database, tenants):
    """What a tenant sees of the tables that belong to nobody, where that is not what OF_NOBODY says."""
    found = []
    scope = Scope(database)
    try:
        for table, (wanted, why) in OF_NOBODY.items():
            rows, state, _ = scope.attempt(tenants[0], f"SELECT count(*) FROM {table}")
            there = database.value(f"SELECT count(*) FROM {table}")
            seen = "refused" if state == DENIED else "nothing" if rows == 0 else "all" if rows == there else f"{rows} rows"
            if seen != wanted:
                found.append(f"{table}: a tenant sees {seen}, wanted {wanted}: {why}")
    finally:
        scope.close()
    return found
