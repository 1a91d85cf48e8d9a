"""The benchmark's table on tiny shapes of every function: names, inputs, agreement with the reference, peers."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from fastnorm import reference
from fastnorm._bench import agreement, peers, run
from fastnorm._bench.cases import CASES, PARAMETERS, Case

NHWC = {"channel_axis": -1}
TINY = (
    Case("layer_norm", (2, 3, 4, 4), options={"axis": 1}),
    Case("rms_norm", (4, 8)),
    Case("batch_norm", (2, 3, 4, 4), mode="out"),
    Case("batch_norm", (2, 4, 4, 3), options=NHWC),
    Case("batch_norm", (2, 3, 4, 4), options={"training": True}),
    Case("batch_norm", (2, 4, 4, 3), options={"training": True} | NHWC),
    Case("batch_norm", (8, 3), options={"training": True}),
    Case("instance_norm", (2, 3, 4, 4)),
    Case("instance_norm", (2, 4, 4, 3), options=NHWC),
    Case("conditional_instance_norm", (5, 3, 4, 4)),
    Case("conditional_instance_norm", (5, 4, 4, 3), options=NHWC),
    Case("adaptive_instance_norm", (2, 3, 4, 4)),
    Case("adaptive_instance_norm", (2, 4, 4, 3), options=NHWC),
    Case("group_norm", (2, 6, 4, 4), options={"num_groups": 2}),
    Case("group_norm", (2, 4, 4, 6), options={"num_groups": 2} | NHWC),
    Case("standardize", (20, 3)),
    Case("standardize", (20, 3), "float64"),
    Case("moments", (2, 3, 4, 4), options={"axis": (0, 2, 3)}),
    Case("dropout", (6, 50), options={"p": 0.3}),
    Case("dropout", (6, 50), "float64", "out", {"p": 0.5}),
    Case("local_response_norm", (2, 7, 4, 4), mode="out", options={"size": 3}),
    Case("local_response_norm", (2, 4, 4, 7), options={"size": 5} | NHWC),
    Case("layer_norm_rnn_cell", (4, 8)),
    Case("min_max_scale", (20, 3)),
    Case("normalize", (5, 40)),
    Case("normalize", (2, 6, 4, 4), options={"p": 1}),
    Case("normalize_image", (5, 6, 3), "uint8"),
    Case("normalize_image", (5, 6, 3), "uint8", "out", {"layout": "HWC->HWC"}),
)
BFLOAT16 = tuple(Case(name, (4, 8), "bfloat16", "out") for name in ("layer_norm", "rms_norm"))
each = pytest.mark.parametrize("case", TINY, ids=lambda case: case.id)
each_or_bfloat16 = pytest.mark.parametrize("case", TINY + BFLOAT16, ids=lambda case: case.id)


@pytest.mark.parametrize("table", [CASES, TINY], ids=["CASES", "TINY"])
def test_every_function_has_a_case(table):
    assert {case.function for case in table} == set(PARAMETERS)


@pytest.mark.parametrize(
    ("function", "shape", "options", "text"),
    [
        ("batch_norm", (8, 3), {}, "NC"),
        ("batch_norm", (8, 3, 5), {"channel_axis": -1}, "NWC"),
        ("group_norm", (8, 3, 5, 5), {"num_groups": 3}, "NCHW,num_groups=3"),
        ("batch_norm", (8, 5, 5, 3), {"channel_axis": -1, "training": True}, "NHWC,training=True"),
        ("instance_norm", (8, 3, 5, 5, 5), {}, "NCDHW"),
        ("layer_norm", (8, 3, 5, 5), {"axis": 1}, "axis=1"),
        ("moments", (8, 3, 5, 5), {"axis": (0, 2, 3)}, "axis=(0,2,3)"),
        ("normalize_image", (8, 5, 3), {}, ""),
        ("normalize_image", (8, 5, 3), {"layout": "HWC->HWC"}, "layout=HWC->HWC"),
    ],
)
def test_options_name_the_layout(function, shape, options, text):
    assert Case(function, shape, options=options).options_text == text


@pytest.mark.parametrize(
    ("case", "shapes", "axes"),
    [
        (TINY[5], {"running_mean": (3,), "running_var": (3,), "weight": (3,), "bias": (3,)}, (0, 1, 2)),
        (TINY[8], {"weight": (3,), "bias": (3,)}, (1, 2)),
        (TINY[10], {"labels": (5,), "weight": (32, 3), "bias": (32, 3)}, (1, 2)),
        (TINY[11], {"style": (2, 3, 2, 2)}, (2, 3)),
        (TINY[13], {"weight": (6,), "bias": (6,)}, (1, 2, 3)),
        (TINY[15], {}, (0,)),
        (TINY[20], {}, (1, 2, 3)),
        (TINY[22], {"h": (4, 8), "weight_ih": (8, 8), "weight_hh": (8, 8), "gain": (8,), "bias": (8,)}, (1,)),
    ],
)
def test_parameters_have_the_shapes_of_their_function(case, shapes, axes):
    assert {name: p.shape for name, p in case.make_inputs().parameters.items()} == shapes
    assert case.axes == axes


@each
def test_bytes_moved_are_those_of_the_arrays(case):
    inputs = case.make_inputs()
    y = case.as_array(case.call(inputs)())
    assert case.bytes_moved == inputs.x.nbytes + y.nbytes + sum(p.nbytes for p in inputs.parameters.values())


@each
@pytest.mark.parametrize("slab", [1, 7, agreement.SLAB])
def test_right_result_passes_and_one_wrong_element_does_not(case, slab, monkeypatch):
    monkeypatch.setattr(agreement, "SLAB", slab)
    inputs = case.make_inputs()
    y = case.as_array(case.call(inputs)())
    assert agreement.case_error(case, inputs, y) <= 1
    y.flat[-1] += 1e-4
    assert agreement.case_error(case, inputs, y) > 1


@each
def test_slabs_cover_a_case_once(case, monkeypatch):
    monkeypatch.setattr(agreement, "SLAB", 7)
    seen = np.zeros(case.shape, int)
    for slab in agreement.slabs(case):
        seen[slab] += 1
    assert (seen == 1).all()


@each_or_bfloat16
def test_numpy_has_every_function_and_agrees(case):
    (numpy,) = peers.load([])[0].values()
    inputs = case.make_inputs()
    for _ in range(2):  # the second call finds what the first one left
        assert agreement.agrees(case, inputs, peers.as_array(numpy, case, numpy.prepare(case, inputs, 1)()))


@each_or_bfloat16
@pytest.mark.parametrize("name", [name for name in peers.PEERS if name != "torch.compile"])
@pytest.mark.filterwarnings("ignore:Numerical issues were encountered")  # scikit-learn, of its float32 results
def test_peer_agrees_or_lacks_the_function(name, case):
    for package in peers.PEERS[name]:
        pytest.importorskip(package)
    inputs = case.make_inputs()
    _, wrong = run.prepare_peers(case, inputs, 1, peers.load([name])[0])
    assert wrong == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch, of what it imports to compile
def test_compiled_peer_agrees_and_updates_running_statistics():
    if not peers.installed(["torch.compile"])[0]:
        pytest.skip("needs PyTorch and a C++ compiler")
    peer = peers.load(["torch.compile"])[0]["torch.compile"]
    training = TINY[4]
    inputs = training.make_inputs()
    calls, wrong = run.prepare_peers(training, inputs, 1, {"torch.compile": peer})
    assert wrong == ()
    before = inputs.parameters["running_mean"].copy()
    calls["torch.compile"]()
    assert (inputs.parameters["running_mean"] != before).all()
    assert peer.note == ""


def test_compiled_peer_says_what_it_cannot_compile(monkeypatch):
    torch = pytest.importorskip("torch")

    def refuse(x):
        raise RuntimeError("made up")

    monkeypatch.setattr(torch, "compile", lambda function, **settings: refuse)
    peer = importlib.import_module("fastnorm._bench.peers.torch_compile")
    monkeypatch.setattr(peer, "note", "")
    inputs = TINY[0].make_inputs()
    for n in (1, 2):
        with pytest.warns(UserWarning, match="made up"):
            assert peer.prepare(TINY[0], inputs, n) is None
    assert peer.note == f"failed to compile {TINY[0].id}"


def test_peer_without_its_compiler_is_skipped(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "numpy", ("numpy", "no-such-compiler"))
    monkeypatch.setattr(peers, "COMPILER", "no-such-compiler")
    assert peers.installed(["numpy"]) == ([], ["numpy: no-such-compiler: not installed, skipped"])


def test_training_updates_running_statistics_and_the_check_does_not():
    case = TINY[4]
    inputs = case.make_inputs()
    before = {name: inputs.parameters[name].copy() for name in ("running_mean", "running_var")}
    y = reference.batch_norm(inputs.x, training=True, **{k: inputs.parameters[k] for k in ("weight", "bias")})
    assert agreement.case_error(case, inputs, y) <= 1
    assert all((inputs.parameters[name] == old).all() for name, old in before.items())
    case.call(inputs)()
    assert all((inputs.parameters[name] != old).all() for name, old in before.items())


@pytest.mark.parametrize("wrong", ["no scale", "another p", "nothing dropped"])
def test_dropout_with_another_mask_agrees_and_another_function_does_not(wrong):
    case = next(case for case in TINY if case.function == "dropout")
    inputs = case.make_inputs()
    y = reference.dropout(inputs.x, 0.3, rng=1)
    assert agreement.agrees(case, inputs, y)
    assert agreement.case_error(case, inputs, y) > 1
    another = reference.dropout(inputs.x, 0.6, rng=1)
    others = {"no scale": y * np.float32(0.7), "another p": another, "nothing dropped": inputs.x}
    assert not agreement.agrees(case, inputs, others[wrong])
