"""The manual's first program and its recipes run as far as this machine can run them: real workers, a real kernel.

Only the seller's address is another in them. Docker, cron and AWS are not here; their programs run without them.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ledgers.redis.server import Server, starting
from tests.real.environments import clean_environ, environment, needed
from x402_client.sandbox import Sandbox

from .recipes import files, write

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
API = "https://api.example.com"


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


@pytest.fixture
def home(seller: Sandbox, tmp_path: Path) -> dict[str, str]:
    """An environment with a wallet of invented money, and nothing else of ours."""
    ours = {name: value for name, value in clean_environ().items() if not name.startswith("X402_")}
    return ours | {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "X402_EVM_KEY": seller.key("evm"),
        "X402_POLICY": seller.environ["X402_POLICY"],
        "X402_LEDGER": str(tmp_path / "ledger.db"),
        "X402_RPC": f"eip155:402402402402={seller.rpc['eip155:402402402402']}",
    }


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    directory = tmp_path / "redis"
    directory.mkdir()
    with starting(directory) as start:
        yield start


def ran(command: list[str], directory: Path, env: dict[str, str], code: int = 0) -> str:
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def python(program: str, directory: Path, env: dict[str, str], interpreter: str = sys.executable) -> str:
    return ran([interpreter, "-W", "error", "-c", program], directory, env)


def test_the_first_program(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> None:
    write("start-here.md", tmp_path, **{"http://127.0.0.1:8402": seller.url})
    said = ran([sys.executable, "-W", "error", "pay.py"], tmp_path, home)
    assert "worth it" in said
    assert "Paid: 0.01 USD\nLeft today: 4.99 USD\n" in said


def test_docker(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> None:
    write("recipes/docker.md", tmp_path)
    said = ran([sys.executable, "fetch.py", f"{seller.url}/weather"], tmp_path, home)
    assert "worth it" in said
    ran([sys.executable, "fetch.py", f"{seller.url}/weather"], tmp_path, home | {"X402_MUST_EXIST": "1"})
    assert len(seller.settlements) == 2


def test_lambda(seller: Sandbox, home: dict[str, str], tmp_path: Path, start_redis: Callable[..., Server]) -> None:
    write("recipes/lambda.md", tmp_path)
    home["X402_LEDGER"] = start_redis().url
    ran([sys.executable, "-c", "from x402_client import Buyer; print(Buyer.from_env().spent())"], tmp_path, home)
    event = {"id": "event-1", "url": f"{seller.url}/weather"}
    dear = {"id": "event-2", "url": f"{seller.url}/yacht"}
    said = python(
        f"import handler\nfor event in ({event}, {event}, {dear}): print(handler.handler(event, None))", tmp_path, home
    )
    assert [line.split("'")[3] for line in said.splitlines()] == ["bought", "bought before", "refused"]
    assert len(seller.settlements) == 1


def test_fastapi(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> None:
    write("recipes/fastapi.md", tmp_path)
    policy = Path(home["X402_POLICY"]).read_text("utf-8").replace('per_day = "5"', 'per_day = "0.10"')
    (tmp_path / "customer.toml").write_text(policy, "utf-8")
    home |= {"SELLER": seller.url, "CUSTOMER_POLICY": "customer.toml", "ALL_CUSTOMERS_A_DAY": "0.15", "ORDERS": "o.db"}
    orders = [("ann", "1"), ("ann", "1"), ("ann", "2"), ("ann", "3"), ("ben", "1"), ("ben", "2")]
    said = python(
        "from fastapi.testclient import TestClient\nimport service\nwith TestClient(service.app) as shop:\n"
        f"    for name, order in {orders}:\n"
        '        headers = {"X-Api-Key": f"key-of-{name}", "Idempotency-Key": order}\n'
        '        print(shop.get("/report", headers=headers).status_code)\n',
        tmp_path,
        home,
    )
    # Ann's own budget holds two reports, that of all customers three.
    assert said.split() == ["200", "200", "200", "429", "200", "503"]
    assert str(seller.earned) == "0.15 USD"


_END = """
import sys
from fastapi.testclient import TestClient
import service

def crash(*given):
    raise SystemExit("the power is off")

if sys.argv[1:] == ["crash"]:
    service.store.deliver = crash
with TestClient(service.app) as shop:
    headers = {"X-Api-Key": "key-of-ann", "Idempotency-Key": "1"}
    for _ in range(2):
        answer = shop.get("/report", headers=headers)
        print(answer.status_code, answer.text)
"""


def shop_of_ann(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> dict[str, str]:
    write("recipes/fastapi.md", tmp_path)
    (tmp_path / "customer.toml").write_text(Path(home["X402_POLICY"]).read_text("utf-8"), "utf-8")
    (tmp_path / "shop.py").write_text(_END, "utf-8")
    return home | {
        "SELLER": seller.url,
        "CUSTOMER_POLICY": "customer.toml",
        "ALL_CUSTOMERS_A_DAY": "0.15",
        "ORDERS": "o.db",
    }


def test_fastapi_crashes_before_a_report_is_stored(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> None:
    seller.sell("/report", "0.05", content="the report", redeliver=True)
    env = shop_of_ann(seller, home, tmp_path)
    crashed = subprocess.run(
        [sys.executable, "shop.py", "crash"], cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False
    )
    assert crashed.returncode != 0
    assert len(seller.settlements) == 1
    assert ran([sys.executable, "shop.py"], tmp_path, env).count("200 the report") == 2
    assert len(seller.settlements) == 1


def test_fastapi_answers_an_order_that_another_worker_bought(
    seller: Sandbox, home: dict[str, str], tmp_path: Path
) -> None:
    seller.sell("/report", "0.05", content="the report")
    env = shop_of_ann(seller, home, tmp_path)
    for _ in range(2):
        assert ran([sys.executable, "shop.py"], tmp_path, env).count("200 the report") == 2
    assert len(seller.settlements) == 1


_AT_ONCE = """
from fastapi.testclient import TestClient
import service

class Late(type(service.store)):
    asked = 0

    def content(self, name, order):
        # The first look comes before another worker has bought it, the second after.
        Late.asked += 1
        return None if Late.asked == 1 else super().content(name, order)

service.store.__class__ = Late
with TestClient(service.app) as shop:
    print(shop.get("/report", headers={"X-Api-Key": "key-of-ann", "Idempotency-Key": "1"}).status_code, Late.asked)
"""


def test_fastapi_answers_an_order_that_another_worker_bought_after_it_looked(
    seller: Sandbox, home: dict[str, str], tmp_path: Path
) -> None:
    seller.sell("/report", "0.05", content="the report")
    env = shop_of_ann(seller, home, tmp_path)
    ran([sys.executable, "shop.py"], tmp_path, env)
    (tmp_path / "late.py").write_text(_AT_ONCE, "utf-8")
    assert ran([sys.executable, "late.py"], tmp_path, env).split() == ["200", "2"]
    assert len(seller.settlements) == 1


def cron(home: dict[str, str], tmp_path: Path) -> Path:
    """Write the recipe's script with its settings, and a command for it. Return the file of the settings."""
    [script] = write("recipes/cron.md", tmp_path)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "x402"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m x402_client "$@"\n', "utf-8")
    command.chmod(0o700)
    ours = {name: home.pop(name) for name in list(home) if name.startswith("X402_")}
    settings = tmp_path / ".x402-settings"
    settings.write_text("".join(f"export {name}='{value}'\n" for name, value in ours.items()), "utf-8")
    home["PATH"] = f"{programs}:{home['PATH']}"
    return settings


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [("/fault/redirect-before-paying/report", 0, "Paid 0.05 USD"), ("/empty", 1, "the answer was empty")],
)
def test_cron_follows_a_redirect_and_keeps_no_empty_file(
    seller: Sandbox, home: dict[str, str], tmp_path: Path, path: str, code: int, said: str
) -> None:
    seller.sell("/empty", "0.01", content="")
    cron(home, tmp_path)
    home["REPORT_URL"] = seller.url + path
    assert said in ran(["sh", "-c", "./buy.sh 2>&1"], tmp_path, home, code=code)
    reports = [one for one in (tmp_path / "reports").iterdir() if one.suffix == ".json"]
    assert [one.stat().st_size > 0 for one in reports] == [True] * (code == 0)


def test_cron(seller: Sandbox, home: dict[str, str], tmp_path: Path) -> None:
    settings = cron(home, tmp_path)
    home["REPORT_URL"] = f"{seller.url}/report"
    for _ in range(2):
        ran(["./buy.sh"], tmp_path, home)
    [report] = (tmp_path / "reports").iterdir()
    assert "worth it" in report.read_text("utf-8")
    report.unlink()
    assert "bought before" in ran(["sh", "-c", "./buy.sh 2>&1"], tmp_path, home, code=9)
    assert len(seller.settlements) == 1
    ran(["sh", "-c", ". ./.x402-settings && x402 ledger reconcile"], tmp_path, home)
    settings.write_text(settings.read_text("utf-8") + f"export X402_LEDGER='{tmp_path / 'other.db'}'\n", "utf-8")
    home["REPORT_URL"] = f"{seller.url}/fault/402-after-settling/report"
    said = ran(["sh", "-c", "./buy.sh 2>&1"], tmp_path, home, code=6)
    assert "this says what to do" in said
    assert "fault/402-after-settling/report" in said.partition("what to do:")[2]


@pytest.fixture(scope="session")
def others() -> str:
    """Return the Python of an environment with Celery, RQ and IPython in it."""
    return str(needed(environment, "recipes"))


@pytest.mark.foreign
@pytest.mark.timeout(600)
def test_celery(
    seller: Sandbox, home: dict[str, str], tmp_path: Path, start_redis: Callable[..., Server], others: str
) -> None:
    """One order comes twice, and a window has room for two of three: the third one waits for it."""
    seller.sell("/weather", "0.01", fault=["error-before-settling"])
    write("recipes/queues.md", tmp_path)
    redis = start_redis()
    policy = tmp_path / "policy.toml"
    policy.write_text(
        Path(home["X402_POLICY"]).read_text("utf-8").replace("per_day", 'per_minute = "0.02"\nper_day', 1)
    )
    home |= {"QUEUE": f"redis://127.0.0.1:{redis.port}/1", "X402_LEDGER": redis.url, "X402_POLICY": str(policy)}
    worker = subprocess.Popen(
        [others, "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"], cwd=tmp_path, env=home
    )
    try:
        said = python(
            "from tasks import buy\n"
            f"jobs = [buy.delay(order, '{seller.url}/weather?order=' + order) for order in 'abca']\n"
            "for job in jobs: job.get(timeout=100, propagate=False)\n"
            "print(sorted(job.status for job in jobs))",
            tmp_path,
            home,
            others,
        )
    finally:
        worker.terminate()
        worker.wait(30)
    assert "['FAILURE', 'SUCCESS', 'SUCCESS', 'SUCCESS']" in said  # `a` came twice
    assert len(seller.settlements) == 3


@pytest.mark.foreign
@pytest.mark.timeout(600)
def test_rq(
    seller: Sandbox, home: dict[str, str], tmp_path: Path, start_redis: Callable[..., Server], others: str
) -> None:
    write("recipes/queues.md", tmp_path)
    home["QUEUE"] = f"redis://127.0.0.1:{start_redis().port}/1"
    python(f"from jobs import ask\nfor order in 'abc': ask(order, '{seller.url}/weather')", tmp_path, home, others)
    ran([others, "-m", "rq.cli", "worker", "--burst", "--url", home["QUEUE"]], tmp_path, home)
    assert len(seller.settlements) == 3


@pytest.mark.foreign
@pytest.mark.timeout(600)
def test_notebook(seller: Sandbox, home: dict[str, str], tmp_path: Path, others: str) -> None:
    cells = [text.replace(API, seller.url) for text in files("recipes/notebook.md").values()]
    said = python(
        "import nbformat, nbclient\n"
        "from nbformat.v4 import new_notebook, new_code_cell\n"
        f"for texts in {[[*cells, cells[2]], [cells[0], cells[2]]]!r}:\n"  # the second is after a restart of the kernel
        "    book = new_notebook(cells=[new_code_cell(text) for text in texts])\n"
        "    nbclient.NotebookClient(book, timeout=60, kernel_name='python3').execute()\n"
        "    for cell in book.cells: print([out.get('text') or out['data']['text/plain'] for out in cell.outputs])",
        tmp_path,
        home,
        others,
    )
    lines = said.splitlines()[-7:]
    assert "0.01 USD" in lines[1]
    assert "worth it" in lines[2]
    assert "today: 0.01 USD left: 4.99 USD" in lines[3]
    assert "bought before: 0.01 USD" in lines[4]
    assert "worth it" in lines[4]
    assert "bought before: 0.01 USD" in lines[6]
    assert "worth it" in lines[6]
    assert len(seller.settlements) == 1


def test_every_recipe_is_listed_and_has_a_test() -> None:
    pages = {page.stem for page in (ROOT / "x402_client/manual/recipes").glob("*.md")} - {"README"}
    listed = (ROOT / "x402_client/manual/recipes/README.md").read_text("utf-8")
    assert all(f"({page}.md)" in listed for page in pages)
    tested = Path(__file__).read_text("utf-8")
    assert all(f'"recipes/{page}.md"' in tested for page in pages)
