"""Cells on every engine: in order, in other processes, on a Dask cluster, on several devices."""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from distributed import Client
from helpers import module_from_source

import nthlib as nth
from nthlib.sweeps import cells

ROOT = Path(__file__).parents[3]


def spread(width, seed=0):
    draw = jax.random.normal(jax.random.key(seed), (width,))
    return {"mean": draw.mean(), "draw": draw, "name": f"width {width}"}


def test_results_come_in_order_and_as_numpy_arrays():
    found = nth.run_cells(spread, [3, 1, 2], seed=5)
    assert [cell["name"] for cell in found] == ["width 3", "width 1", "width 2"]
    for width, cell in zip([3, 1, 2], found, strict=True):
        assert isinstance(cell["draw"], np.ndarray)
        np.testing.assert_array_equal(cell["draw"], spread(width, 5)["draw"])


def test_dicts_keep_the_order_of_their_names():
    def measure(case):
        return {"z": case, "a": [{"y": np.ones(2), 3: jax.numpy.ones(2)}, None]}

    (found,) = nth.run_cells(measure, [1])
    assert list(found) == ["z", "a"]
    assert list(found["a"][0]) == ["y", 3]
    assert {type(part) for part in found["a"][0].values()} == {np.ndarray}
    assert found["a"][1] is None


def test_random_keys_among_the_results_stay_keys():
    (key,) = nth.run_cells(lambda seed: jax.random.key(seed), [7])
    assert jax.random.normal(key) == jax.random.normal(jax.random.key(7))


def test_other_processes_compute_in_the_precision_of_this_one():
    here = nth.run_cells(spread, [4, 5])
    with joblib.parallel_config(backend="loky", n_jobs=2):
        there = nth.run_cells(spread, [4, 5])
    for cell, other in zip(here, there, strict=True):
        assert other["draw"].dtype == np.float64
        np.testing.assert_allclose(other["draw"], cell["draw"], rtol=1e-14)


def test_arrays_that_a_cell_is_given_stay_in_double_precision():
    third = jax.numpy.asarray(1 / 3)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = nth.run_cells(lambda case, third: case * third, [1.0, third], third=third)
    assert found == [1 / 3, 1 / 9]


def test_precision_is_part_of_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path))
    kept = {}
    for x64 in (True, False):
        with jax.enable_x64(x64):
            kept[x64] = nth.run_cells(spread, [4])[0]["draw"].dtype
    assert kept == {True: np.float64, False: np.float32}


SIDE_EFFECT = """
from pathlib import Path

def measure(case, folder):
    with (Path(folder) / "log").open("a") as log:
        log.write(f"{case}\\n")
    return case ** 2
"""


def test_finished_cells_are_kept_and_it_is_said_how_many(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    measure = module_from_source(tmp_path, SIDE_EFFECT).measure
    assert nth.run_cells(measure, [1, 2], folder=str(tmp_path)) == [1, 4]
    assert nth.run_cells(measure, [1, 2, 3], folder=str(tmp_path)) == [1, 4, 9]
    assert (tmp_path / "log").read_text().split() == ["1", "2", "3"]
    said = [line for line in capsys.readouterr().err.splitlines() if "cache" in line]
    assert said == ["measure: 0 of 2 cells from the cache", "measure: 2 of 3 cells from the cache"]


def test_a_worker_with_another_version_is_refused(monkeypatch):
    pickled = pickle.dumps(cells._Task(spread, 1, {}, {}))
    monkeypatch.setattr(cells, "library_digest", lambda: "another")
    with pytest.raises(RuntimeError, match="another version of nthlib"):
        pickle.loads(pickled)


def test_without_dask_the_scheduler_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("NTH_SCHEDULER", "tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match=r"NTH_SCHEDULER needs Dask: pip install"):
        nth.run_cells(spread, [1])


# ------------------------------------------------------------------------- several devices

ON_DEVICES = """
import json, sys
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
import nthlib as nth

def sizes(width, key):
    data_key, init_key = jax.random.split(key)
    net = nth.FullyConnected(3, width, 1, jnp.tanh)
    X = nth.sphere(data_key, n=4, dim=3)
    params = net.init(init_key)
    K = nth.kernels(net, params, X, order=2)
    return {"sum": K[1].sum(), "eigenvalues": jnp.linalg.eigvalsh(K[2])}

found = {f"{name}, {seeds} seeds": values.tolist()
         for seeds, batch in ((3, None), (6, 2))
         for name, values in nth.draws(sizes, widths=[5], seeds=seeds, batch_size=batch).items()}
print(json.dumps([jax.local_device_count(), found]))
"""


def _on(devices: int):
    done = subprocess.run(
        [sys.executable, "-c", ON_DEVICES],
        env={**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_seeds_shared_out_among_devices_give_what_one_device_gives():
    one, four = _on(1), _on(4)
    assert (one[0], four[0]) == (1, 4)
    assert list(one[1]) == list(four[1])
    for name, values in one[1].items():
        np.testing.assert_allclose(four[1][name], values, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------ a cluster


@pytest.fixture
def cluster(tmp_path_factory):
    """A scheduler and two worker processes on loopback, as `dask` starts them."""
    folder = tmp_path_factory.mktemp("cluster")
    note = folder / "scheduler.json"
    processes = []

    def dask(*arguments):
        with (folder / f"{len(processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                stdout=log, stderr=log, cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        processes.append(process)
        return process

    dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(note))
    while not note.is_file():
        assert processes[0].poll() is None, (folder / "0.log").read_text()
        time.sleep(0.1)
    address = json.loads(note.read_text())["address"]
    workers = [
        dask("worker", address, "--nthreads", "1", "--no-nanny", "--name", name)
        for name in ("first", "second")
    ]
    with Client(address, timeout=20, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, workers
    if cells._client.cache_info().currsize:
        cells._client(address).close()
        cells._client.cache_clear()
    for process in reversed(processes):
        process.kill()
        process.wait()


def who(case, folder, pause):
    """Leave a note, wait, and say which process this is."""
    (Path(folder) / f"{case} in {os.getpid()}").touch()
    time.sleep(pause)
    return {"square": case**2, "process": os.getpid()}


def counts(address: str) -> dict[str, int]:
    """What the scheduler itself counts of its tasks."""

    def ask(dask_scheduler):
        total = Counter()
        for prefix in dask_scheduler.task_prefixes.values():
            total.update(prefix.state_counts)
        return dict(total)

    with Client(address, timeout=10, set_as_default=False) as client:
        return client.run_on_scheduler(ask)


def test_a_cluster_computes_the_cells_and_survives_the_loss_of_a_worker(
    cluster, tmp_path, monkeypatch
):
    address, (first, second) = cluster
    monkeypatch.setenv("NTH_SCHEDULER", address)
    cases = list(range(8))

    def kill_first():
        while not list(tmp_path.glob(f"* in {first.pid}")):
            time.sleep(0.02)
        first.kill()

    killer = threading.Thread(target=kill_first)
    killer.start()
    found = nth.run_cells(who, cases, folder=str(tmp_path), pause=0.3)
    killer.join()
    assert [cell["square"] for cell in found] == [case**2 for case in cases]
    assert {cell["process"] for cell in found} <= {first.pid, second.pid}
    assert sum(cell["process"] == second.pid for cell in found) >= len(cases) - 2
    assert counts(address)["memory"] >= len(cases)


@pytest.mark.slow
def test_draws_on_a_cluster_are_what_they_are_here(cluster, monkeypatch):
    measure = {"widths": [4, 9], "seeds": 3}
    here = nth.draws(moments, **measure)
    monkeypatch.setenv("NTH_SCHEDULER", cluster[0])
    there = nth.draws(moments, **measure)
    np.testing.assert_allclose(there["mean"], here["mean"], rtol=1e-12)
    assert there["mean"].dtype == np.float64


def moments(width, key):
    return {"mean": jax.random.normal(key, (width,)).mean()}


@pytest.mark.slow
def test_a_chapter_on_a_cluster_gives_the_claims_it_gives_here(cluster, tmp_path):
    address, (first, _) = cluster
    claims = {}
    for name, options in (("here", []), ("there", ["--scheduler", address])):
        environment = {**os.environ, "NTH_BUILD_DIR": str(tmp_path / name)}
        command = [sys.executable, "-m", "nthbook.cli.main", "run", "truncation"]
        run = subprocess.Popen(
            [*command, "--profile", "smoke", *options], cwd=ROOT, env=environment
        )
        if options:
            while not counts(address).get("processing"):
                time.sleep(0.5)
            time.sleep(5)
            first.kill()
        assert run.wait() == 0
        claims[name] = json.loads((tmp_path / name / "claims" / "truncation.json").read_text())
    assert counts(address)["memory"] >= 2
    for here, there in zip(claims["here"]["verdicts"], claims["there"]["verdicts"], strict=True):
        for bound in ("value", "low", "high"):
            assert there[bound] == pytest.approx(here[bound], abs=1e-9)
