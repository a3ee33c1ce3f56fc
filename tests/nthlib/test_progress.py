"""The progress bar: quiet for short work, shown for long work, closed in every case."""

import jax
import jax.numpy as jnp
import pytest

from nthlib import progress


def test_short_work_prints_nothing(capsys):
    with progress.bar("solve"):
        progress._advance(jnp.array(0.5))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_long_work_shows_its_name_and_share_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY_SECONDS", 0.0)
    with progress.bar("solve"):
        progress._advance(jnp.array(0.25))
        shown = progress._open_bars[-1]
        assert shown.n == 25
        shown.mininterval = 0
        progress._advance(jnp.array(0.75))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "solve" in captured.err
    assert "75%" in captured.err


def test_progress_goes_to_the_innermost_bar():
    with progress.bar("outer"), progress.bar("inner"):
        progress._advance(0.4)
        outer, inner = progress._open_bars
        assert (outer.n, inner.n) == (0, 40)
    assert progress._open_bars == []


def test_an_error_closes_the_bar():
    with pytest.raises(RuntimeError, match="inside"), progress.bar("solve"):
        raise RuntimeError("inside")
    assert progress._open_bars == []


def test_without_a_bar_progress_goes_nowhere():
    progress._advance(0.4)
    assert progress._open_bars == []


def test_the_meter_reports_now_and_then_from_compiled_code(monkeypatch):
    heard = []
    monkeypatch.setattr(progress, "_advance", lambda share: heard.append(float(share)))
    meter = progress.BarMeter()

    @jax.jit
    def run():
        steps = 2 * progress._STEPS_BETWEEN_UPDATES + 1
        return jax.lax.fori_loop(0, steps, lambda i, s: meter.step(s, i / steps), meter.init())

    state = run()
    jax.effects_barrier()
    meter.close(state)
    steps = 2 * progress._STEPS_BETWEEN_UPDATES + 1
    assert state == steps
    assert sorted(heard) == pytest.approx([0.0, 20 / steps, 40 / steps])
