#!/usr/bin/python3
"""A recording that answers: no Harbor can run here. Each answer has the shape, status and words of one that a real Harbor
2.15.2 gave (harbor_2.15.2.json); test_harbor_replay.py sends every recorded request to this server and compares. Around the
recording it keeps what the rules need: accounts, robots with permissions, project quotas, sessions, GC runs. Rules that were
not recorded but are Harbor's: a write with a session needs a CSRF token (403), a robot's missing permission (403), a wrong
old password (403), a robot's name that does not fit (400), a name locked while a wrong password sleeps, a push over the
quota (403), a run that ends when it is told to (recorded was only that one which had ended stays so).

Prints its port, then serves until it is ended. POST /control changes its state, GET /control tells it.
"""

import base64
import copy
import datetime
import http.server
import json
import pathlib
import re
import secrets
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
CASES = {case["case"]: case for case in json.loads((HERE / "harbor_2.15.2.json").read_text(encoding="utf-8"))}
POLICY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,128}$", re.S)
ROBOT_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*$")
lock = threading.RLock()


def recorded(case):
    return copy.deepcopy(CASES[case]["response"]["body"])


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body

    @classmethod
    def like(cls, case, message=None):
        """The recorded refusal, perhaps with another message."""
        body = recorded(case)
        if message:
            body["errors"][0]["message"] = message
        return cls(CASES[case]["response"]["status"], body)


class Harbor:
    """What one Harbor knows."""

    def __init__(self):
        self.admin, self.lock_s = "Harbor12345", 0.2
        self.signs, self.jobservice, self.raw, self.fail, self.hangs = True, True, {}, 0, []
        self.sessions, self.seen = set(), []
        self.locked = {}  # name: until
        self.refused = []  # names whose password was wrong
        self.config = {key: row["value"] for key, row in recorded("get configurations").items()}
        self.robots, self.next_robot = {}, 1
        self.quotas = {row["id"]: row for row in recorded("list quotas")}
        self.schedule, self.runs, self.next_run = None, [], 1
        self.deaf = False  # do runs go on whatever they are told
        self.admin_s = 0  # what hashing the administrator's password takes
        self.grows = 0  # so many projects are made while a page of quotas is read
        self.pushed = False  # did the quota let the last push through

    # ---- who asks ----

    def robot_of(self, name):
        prefix = self.config["robot_name_prefix"]
        return next((robot for robot in self.robots.values() if name == prefix + robot["name"]), None)

    def authenticate(self, header):
        """None, "admin", or a robot."""
        if not header:
            return None
        name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        robot = self.robot_of(name)
        if robot and not robot["disable"] and secrets.compare_digest(robot["secret"], password):
            return robot
        if time.monotonic() >= self.locked.get(name, 0) and name == "admin" and password == self.admin:
            time.sleep(self.admin_s)
            return "admin"
        self.refused.append(name)
        self.locked[name] = time.monotonic() + self.lock_s
        lock.release()
        time.sleep(self.lock_s)
        lock.acquire()
        raise Refused.like("wrong password")

    @staticmethod
    def allow(who, resource, action):
        if who is None:
            raise Refused.like("unauthenticated write")
        if who != "admin" and (resource, action) not in who["rights"]:
            raise Refused.like("delete admin", "forbidden")

    # ---- the API, one function per path ----

    def health(self, who, given, body):
        return 200, recorded("health" if self.jobservice else "health with jobservice stopped")

    def systeminfo(self, who, given, body):
        return 200, recorded("systeminfo admin" if who else "systeminfo anonymous")

    def token(self, who, given, body):
        if not given.get("scope") and who is None:
            raise Refused(401, "")
        if not self.signs:
            raise Refused(500, "")
        part = base64.urlsafe_b64encode(secrets.token_bytes(48)).decode().rstrip("=")
        return 200, {"token": f"{part}.{part}.{part}", "access_token": "", "expires_in": 2700, "issued_at": "2026-11-21T04:33:26Z"}

    def current(self, who, given, body):
        if who != "admin":
            raise Refused.like("wrong password")
        return 200, recorded("current user")

    def password(self, who, given, body, number):
        self.allow(who, "user", "update")
        if body.get("old_password") != self.admin:
            raise Refused.like("delete admin", "Current password is incorrect")
        if body["new_password"] == self.admin:
            raise Refused.like("same password again")
        if not POLICY.match(body["new_password"]):
            raise Refused.like("create user weak password")
        self.admin = body["new_password"]
        return 200, None

    def list_robots(self, who, given, body):
        self.allow(who, "robot", "list")
        return paged(given, [self.shown(robot) for robot in sorted(self.robots.values(), key=lambda robot: -robot["id"])])

    def shown(self, robot):
        row = recorded("list robots")[1]
        row.update(id=robot["id"], name=self.config["robot_name_prefix"] + robot["name"], disable=robot["disable"],
                   duration=robot["duration"], expires_at=-1 if robot["duration"] == -1 else 1797827611)
        row["permissions"] = [{"kind": "system", "namespace": "/", "access": [{"resource": resource, "action": action}
                               for resource, action in sorted(robot["rights"])]}]  # fmt: skip
        if robot["description"]:
            row["description"] = robot["description"]
        return row

    def take_robot(self, robot, body):
        if body["level"] != "system" or not body["permissions"] or not body["permissions"][0]["access"]:
            raise Refused.like("create user weak password", "bad request permission")
        robot.update(disable=body.get("disable", False), duration=body["duration"], description=body.get("description", ""),
                     rights={(access["resource"], access["action"]) for access in body["permissions"][0]["access"]})

    def create_robot(self, who, given, body):
        self.allow(who, "robot", "create")
        if not ROBOT_NAME.match(body["name"]):
            raise Refused.like("create user weak password", "robot name is not in lower case or contains illegal characters")
        if any(robot["name"] == body["name"] for robot in self.robots.values()):
            raise Refused.like("create user again", f"robot account {body['name']} already exists")
        robot = {"id": self.next_robot, "name": body["name"], "secret": secrets.token_urlsafe(24)}
        self.take_robot(robot, body)
        self.robots[robot["id"]] = robot
        self.next_robot += 1
        answer = recorded("create system robot")
        answer.update(id=robot["id"], name=self.config["robot_name_prefix"] + robot["name"], secret=robot["secret"])
        return 201, answer, {"Location": f"/api/v2.0/robots/{robot['id']}"}

    def find_robot(self, number):
        if int(number) not in self.robots:
            raise Refused.like("delete user again", f"robot {number} not found")
        return self.robots[int(number)]

    def update_robot(self, who, given, body, number):
        self.allow(who, "robot", "update")
        robot = self.find_robot(number)
        if body["name"] != self.config["robot_name_prefix"] + robot["name"]:
            raise Refused.like("create user weak password", "cannot update the level or name of robot")
        self.take_robot(robot, body)
        return 200, None

    def robot_secret(self, who, given, body, number):
        self.allow(who, "robot", "update")
        robot = self.find_robot(number)
        if not POLICY.match(body["secret"]):
            raise Refused.like("create user weak password")
        robot["secret"] = body["secret"]
        return 200, {}

    def list_quotas(self, who, given, body):
        self.allow(who, "quota", "list")
        answer = paged(given, [self.quotas[number] for number in sorted(self.quotas, reverse=True)])
        for _ in range(self.grows):
            self.add_project(max(self.quotas) + 1, 3, -1)
        return answer

    def add_project(self, number, used, hard):
        row = recorded("list quotas")[0]
        row.update(id=number, used={"storage": used}, hard={"storage": hard})
        row["ref"].update(id=number, name=f"p{number}")
        self.quotas[number] = row

    def set_quota(self, who, given, body, number):
        self.allow(who, "quota", "update")
        value = body["hard"]["storage"]
        if value <= 0 and value != -1:
            raise Refused.like("set quota negative", f"invalid non-positive value for quota limit, value={value}")
        if int(number) not in self.quotas:
            raise Refused.like("delete user again", f"quota {number} not found")
        self.quotas[int(number)]["hard"]["storage"] = value
        return 200, None

    def configurations(self, who, given, body):
        self.allow(who, "configuration", "read")
        return 200, {key: {"editable": key != "auth_mode", "value": value} for key, value in self.config.items()}

    def configure(self, who, given, body):
        self.allow(who, "configuration", "update")
        self.config.update(body)
        return 200, None

    def gc_schedule(self, who, given, body):
        self.allow(who, "garbage-collection", "read")
        return 200, self.schedule

    def set_gc_schedule(self, who, given, body):
        self.allow(who, "garbage-collection", "create")
        return self.kick(body, 201)

    def change_gc_schedule(self, who, given, body):
        self.allow(who, "garbage-collection", "update")
        return self.kick(body, 200)

    def kick(self, body, status):
        kind, cron, run = body["schedule"]["type"], body["schedule"].get("cron", ""), 0
        parameters = {"delete_tag": False, "delete_untagged": False, "workers": 0} | body.get("parameters", {})
        if not self.jobservice:
            raise Refused.like("gc run with jobservice stopped")
        if kind == "Manual":
            run, self.next_run = self.next_run, self.next_run + 1
            entry = recorded("gc one")
            counted = {"freed_space": 7, "purged_blobs": 3, "purged_manifests": 1, "time_window": 2}
            entry.update(id=run, job_status="Success", update_time=now(), job_parameters=json.dumps(parameters | counted))
            self.runs.insert(0, entry)
        elif kind == "None":
            self.schedule = None
        elif len(cron.split()) != 6:
            raise Refused.like("gc schedule bad cron")
        else:
            self.schedule = recorded("gc schedule get")
            parameters.pop("dry_run", None)  # as recorded: what was scheduled dry does not say so
            self.schedule.update(job_kind=cron, job_parameters=json.dumps(parameters, sort_keys=True))
            self.schedule["schedule"].update(cron=cron, type=kind)
        return status, None, {"Location": f"/api/v2.0/system/gc/{run}"} if status == 201 else {}

    def stop_gc(self, who, given, body, number):
        self.allow(who, "garbage-collection", "stop")
        run = next((run for run in self.runs if run["id"] == int(number)), None)
        if run and run["job_status"] == "Running" and not self.deaf:
            run["job_status"] = "Stopped"
        return 200, None

    def gc_history(self, who, given, body):
        self.allow(who, "garbage-collection", "list")
        return paged(given, self.runs)

    # ---- what tests do to it ----

    def tell(self):
        return {"sessions": len(self.sessions), "seen": self.seen, "refused": self.refused, "config": self.config, "admin": self.admin,
                "done": self.pushed, "quotas": {row["ref"]["name"]: row for row in self.quotas.values()}, "runs": len(self.runs),
                "run": self.runs[0]["job_status"] if self.runs else None,
                "schedule": self.schedule,
                "robots": [robot | {"rights": sorted(map("/".join, robot["rights"]))} for robot in self.robots.values()]}  # fmt: skip

    def change(self, wanted):
        for name, value in wanted.items():
            getattr(self, f"control_{name}")(value)

    def control_reset(self, value):
        self.__init__()

    def control_set(self, value):
        """Attributes: admin, signs, jobservice, raw ({path, or "POST path": [status, text]}), grows, lock_s, fail (so many more are 503),
        hangs (paths that are not answered as long as they stand there), deaf, admin_s."""
        self.__dict__.update(value)

    def control_config(self, value):
        self.config.update(value)

    def control_forget_sessions(self, value):
        self.sessions.clear()

    def control_robot(self, value):
        """Changes of the robot of that id; None removes it."""
        for number, row in value.items():
            if row is None:
                del self.robots[int(number)]
            else:
                if "rights" in row:
                    row["rights"] = {tuple(right) for right in row["rights"]}
                self.robots[int(number)].update(row)

    def control_many_robots(self, value):
        """So many of a customer's."""
        for number in range(self.next_robot, self.next_robot + value):
            self.robots[number] = {"id": number, "name": f"ci-{number}", "secret": "Aa1" * 4, "disable": False, "duration": 30,
                                   "description": "", "rights": {("project", "list")}}  # fmt: skip
        self.next_robot += value

    def control_run(self, value):
        """Of the last garbage collection."""
        self.runs[0].update(value)

    def control_dry(self, value):
        """So many dry runs of a customer's, after all others."""
        for _ in range(value):
            self.kick({"schedule": {"type": "Manual"}, "parameters": {"dry_run": True}}, 201)

    def control_projects(self, value):
        """[[used, hard], ...]: these and no others, ids from 1."""
        self.quotas = {}
        for number, (used, hard) in enumerate(value, 1):
            self.add_project(number, used, hard)

    def control_push(self, value):
        """[project, bytes]: what its quota says to a push (or, with less than nothing, to a deletion)."""
        row, grows = self.quotas[value[0]], value[1]
        hard, used = row["hard"]["storage"], row["used"]["storage"]
        if grows > 0 and self.config["quota_per_project_enable"] and hard != -1 and used + grows > hard:
            self.pushed = False
            return
        self.pushed = True
        row["used"]["storage"] += grows


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def paged(given, rows):
    page, size = int(given.get("page", 1)), int(given.get("page_size", 10))
    if size > 100:
        raise Refused.like("list page too large")
    headers = {"X-Total-Count": str(len(rows))}
    if page * size < len(rows):
        headers["Link"] = f'</api/v2.0/list?page={page + 1}&page_size={size}>; rel="next"'
    return 200, rows[(page - 1) * size : page * size], headers


ROUTES = [(method, re.compile(path + "$"), function) for method, path, function in (
    ("GET", "/api/v2.0/health", Harbor.health),
    ("GET", "/api/v2.0/systeminfo", Harbor.systeminfo),
    ("GET", "/service/token", Harbor.token),
    ("GET", "/api/v2.0/users/current", Harbor.current),
    ("PUT", "/api/v2.0/users/(1)/password", Harbor.password),
    ("GET", "/api/v2.0/robots", Harbor.list_robots),
    ("POST", "/api/v2.0/robots", Harbor.create_robot),
    ("PUT", r"/api/v2.0/robots/(\d+)", Harbor.update_robot),
    ("PATCH", r"/api/v2.0/robots/(\d+)", Harbor.robot_secret),
    ("GET", "/api/v2.0/quotas", Harbor.list_quotas),
    ("PUT", r"/api/v2.0/quotas/(\d+)", Harbor.set_quota),
    ("GET", "/api/v2.0/configurations", Harbor.configurations),
    ("PUT", "/api/v2.0/configurations", Harbor.configure),
    ("GET", "/api/v2.0/system/gc/schedule", Harbor.gc_schedule),
    ("POST", "/api/v2.0/system/gc/schedule", Harbor.set_gc_schedule),
    ("PUT", "/api/v2.0/system/gc/schedule", Harbor.change_gc_schedule),
    ("GET", "/api/v2.0/system/gc", Harbor.gc_history),
    ("PUT", r"/api/v2.0/system/gc/(\d+)", Harbor.stop_gc),
)]  # fmt: skip

harbor = Harbor()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1  # one packet per answer: many small ones would wait for each other

    def log_message(self, *arguments):
        pass

    def answer(self, status, body, headers=()):
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def session(self):
        """Headers that hand out a session to who has none; a write with one needs a CSRF token."""
        sid = dict(part.strip().partition("=")[::2] for part in self.headers.get("Cookie", "").split(";")).get("sid")
        if sid and self.command != "GET":
            raise Refused.like("delete admin", "CSRF token invalid")
        if sid in harbor.sessions:
            return {}
        sid = secrets.token_hex(16)
        harbor.sessions.add(sid)
        return {"Set-Cookie": f"sid={sid}; Path=/; HttpOnly"}

    def api(self, path, given, text, headers):
        who = harbor.authenticate(self.headers.get("Authorization"))
        name = "nobody" if who is None else "admin" if who == "admin" else "robot"
        harbor.seen.append(f"{name} {self.command} {path}")
        if harbor.fail:
            harbor.fail -= 1
            raise Refused(503, "")
        while path in harbor.hangs:
            lock.release()
            time.sleep(0.05)
            lock.acquire()
        for key in (path, f"{self.command} {path}"):
            if key in harbor.raw:
                raise Refused(*harbor.raw[key])
        for method, pattern, function in ROUTES:
            match = pattern.match(path)
            if match and method == self.command:
                status, body, *more = function(harbor, who, given, json.loads(text) if text else None, *match.groups())
                return status, body, headers | (more[0] if more else {})
        raise Refused.like("unknown path", f"path {path} was not found")

    def serve(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, _, query = self.path.partition("?")
        given = dict(urllib.parse.parse_qsl(query))
        headers = {}
        try:
            with lock:
                if path == "/control":
                    if self.command == "POST":
                        harbor.change(json.loads(text))
                    return self.answer(200, harbor.tell())
                headers = self.session()
                answer = self.api(path, given, text, headers)
            self.answer(*answer)
        except Refused as why:
            self.answer(why.status, why.body, headers)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
