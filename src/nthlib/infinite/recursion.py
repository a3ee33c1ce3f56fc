"""The recursion over layers of the statistics of a network to order 1/m, one layer at a time.

A layer's preactivations h_i and their derivatives by the parameters below are nearly Gaussian,
with covariances that invariance under permutations and flips of neurons reduces to the tensors of
:class:`Layer`. Expectations over one neuron of the layer, :class:`Moments`, take them to the next
layer; the readout is a layer of one neuron. Greek letters number inputs, a letter an axis here.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Matrix = Float[np.ndarray, "N N"]
Tensor = Float[np.ndarray, "N N N N"]

# Of σ^(a)σ^(b) at two inputs those orders are needed whose sum is at most six.
HIGHEST_DERIVATIVE = 5


class Moments(NamedTuple):
    """Expectations over h ~ N(0, G) of products of derivatives of σ at the inputs.

    ``pair[a, b]`` is ⟨σ^(a)_α σ^(b)_β⟩; ``mABCD`` is ⟨σ^(A)_α σ^(B)_β σ^(C)_γ σ^(D)_δ⟩.
    """

    pair: Float[np.ndarray, "6 6 N N"]
    m0000: Tensor
    m0011: Tensor
    m1111: Tensor
    m2011: Tensor
    m3111: Tensor
    m2211: Tensor


class Layer(NamedTuple):
    """What is known of the preactivations of one layer, each tensor times 1/m but G and Θ.

    E h_i h_j = δ_ij (``G`` + ``G1``/m) and ∇h_i·∇h_j has mean δ_ij (``Theta`` + ``Theta1``/m).
    ``V``: the cumulant of h_i h_i h_j h_j; ``D`` and ``F``: of h h and Θ, whose neurons agree
    within them or between them; ``A`` and ``B``: covariances of Θ with itself; ``P`` and ``Q``:
    means of ∇²h[∇h, ∇h] h; ``R``: of ∇³h[∇h, ∇h, ∇h]; ``S``, ``T`` and ``U``: of
    ⟨∇²h∇h, ∇²h∇h⟩.
    """

    G: Matrix
    G1: Matrix
    Theta: Matrix
    Theta1: Matrix
    V: Tensor
    D: Tensor
    F: Tensor
    A: Tensor
    B: Tensor
    P: Tensor
    Q: Tensor
    R: Tensor
    S: Tensor
    T: Tensor
    U: Tensor


def first_layer(gram: Matrix, variance: float) -> Layer:
    """h^(1) = W x: exactly Gaussian, with gradients that do not depend on the draw."""
    none, nothing = np.zeros_like(gram), np.zeros(gram.shape * 2)
    return Layer(variance * gram, none, gram, none, *[nothing] * 11)


def next_layer(layer: Layer, moments: Moments, s: float) -> Layer:
    """The layer of weights with variance ``s`` on top of this one."""
    return _Step(layer, moments, s).result()


class _Step:
    """One application of the recursion, with what several of its lines share.

    Names follow the formulas: ss = σσ, pp = σ'σ', ℓ = ss + sΘ pp, w = σ'σ, u = w + sΘ σ''σ',
    cc = σ''σ'', v = ∂u by its first input; a number behind w or u is the slot differentiated.
    """

    def __init__(self, layer: Layer, moments: Moments, s: float) -> None:
        self.layer, self.moments, self.s = layer, moments, s
        m = moments.pair
        self.sT = s * layer.Theta
        self.p = m[1, 1]
        self.second_ss = m[2, 0], m[1, 1], m[0, 2]
        self.second_pp = m[3, 1], m[2, 2], m[1, 3]
        self.second_l = tuple(
            a + self.sT * b for a, b in zip(self.second_ss, self.second_pp, strict=True)
        )
        self.w = m[2, 0], m[1, 1]
        self.u = m[2, 0] + self.sT * m[3, 1], m[1, 1] + self.sT * m[2, 2]

    def result(self) -> Layer:
        layer, m, s = self.layer, self.moments.pair, self.s
        return Layer(
            G=s * m[0, 0],
            G1=s * self._second_order_ss(),
            Theta=m[0, 0] + self.sT * self.p,
            Theta1=self._theta1(),
            **self._fluctuations(),
            B=s**2
            * (
                self.moments.m1111 * _outer(layer.Theta, layer.Theta)
                + np.einsum("ac,bd,abcd->abcd", self.p, self.p, layer.B)
            ),
            P=self._p(),
            Q=self._q(),
            R=self._r(),
            S=self._s(),
            T=self._t(),
            U=self._u(),
        )

    # The means.

    def _second_order_ss(self) -> Matrix:
        m = self.moments.pair
        fourth = m[4, 0], m[3, 1], m[2, 2], m[1, 3], m[0, 4]
        return _linear(self.second_ss, self.layer.G1) + _quartic(fourth, self.layer.V)

    def _theta1(self) -> Matrix:
        layer, m = self.layer, self.moments.pair
        fourth = m[5, 1], m[4, 2], m[3, 3], m[2, 4], m[1, 5]
        of_pp = _linear(self.second_pp, layer.G1) + _quartic(fourth, layer.V)
        # κ(μν; αβ) with both of μν among αβ.
        first = np.einsum("aaab->ab", layer.D) + 2 * np.einsum("aaab->ab", layer.F)
        last = np.einsum("bbab->ab", layer.D) + 2 * np.einsum("bbab->ab", layer.F)
        mixed = (
            np.einsum("abab->ab", layer.D)
            + np.einsum("abab->ab", layer.F)
            + np.einsum("baab->ab", layer.F)
        )
        joint = 0.5 * (m[3, 1] * first + m[1, 3] * last) + m[2, 2] * mixed
        return self._second_order_ss() + self.s * (
            self.p * layer.Theta1 + layer.Theta * of_pp + joint
        )

    # Fluctuations: h h h h, h h Θ and Θ Θ.

    def _fluctuations(self) -> dict[str, Tensor]:
        layer, s, sT, sp = self.layer, self.s, self.sT, self.s * self.p
        ss = self.moments.pair[0, 0]
        ss_ss = self.moments.m0000 - _outer(ss, ss)
        ss_pp = self.moments.m0011 - _outer(ss, self.p)
        pp_pp = self.moments.m1111 - _outer(self.p, self.p)
        weighted = ss_pp * sT
        ss_l = ss_ss + weighted
        l_l = ss_l + weighted.transpose(2, 3, 0, 1) + pp_pp * _outer(sT, sT)
        V_right = _linear_pair(self.second_ss, layer.V.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
        V_right_l = _linear_pair(self.second_l, layer.V.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
        D_l = _linear_pair(self.second_l, layer.D) * sp
        return {
            "V": s**2 * (ss_ss + _linear_pair(self.second_ss, V_right)),
            "D": s
            * (
                ss_l
                + _linear_pair(self.second_ss, V_right_l)
                + _linear_pair(self.second_ss, layer.D) * sp
            ),
            "F": s**2
            * (
                self.moments.m0011 * layer.Theta + self._slots(self.w, self.w).transpose(1, 3, 0, 2)
            ),
            "A": l_l
            + _linear_pair(self.second_l, V_right_l)
            + D_l
            + D_l.transpose(2, 3, 0, 1)
            + _outer(sp, sp) * layer.A,
        }

    def _slots(self, x: tuple[Matrix, Matrix], y: tuple[Matrix, Matrix]) -> Tensor:
        """[x ⊙ F ⊙ y](αμ, βν), axes in this order: x of (α, μ) and y of (β, ν), joined by F."""
        F = self.layer.F
        return (
            np.einsum("am,bn,ab->ambn", x[0], y[0], np.einsum("abab->ab", F))
            + np.einsum("am,bn,mab->ambn", x[1], y[0], np.einsum("mbab->mab", F))
            + np.einsum("am,bn,nab->ambn", x[0], y[1], np.einsum("anab->nab", F))
            + np.einsum("am,bn,mnab->ambn", x[1], y[1], F)
        )

    # Means of the derivatives: ∇²h ∇h ∇h h, ∇³h ∇h ∇h ∇h and ∇²h∇h · ∇²h∇h.

    def _p(self) -> Tensor:
        layer, m = self.layer, self.moments.pair
        Theta, P = layer.Theta, layer.P
        return self.s**2 * (
            np.einsum("adbc,ab,ac->abcd", self.moments.m2011, Theta, Theta)
            + np.einsum("ad,bc,abc->abcd", m[2, 0], self.p, np.einsum("abac->abc", layer.B))
            + np.einsum("bc,ad,abc->abcd", self.p, m[2, 0], np.einsum("abca->abc", P))
            + np.einsum("bc,ad,abcd->abcd", self.p, m[1, 1], P)
        )

    def _q(self) -> Tensor:
        layer, s, m = self.layer, self.s, self.moments.pair
        Q = layer.Q
        u_w = np.einsum("bdac->abcd", self.moments.m0011) + np.einsum(
            "ab,adbc->abcd", self.sT, self.moments.m2011
        )
        return s * (
            np.einsum("abcd,ac->abcd", u_w, layer.Theta)
            + self._slots(self.u, self.w)
            + s * np.einsum("ab,cd,abc->abcd", self.p, m[2, 0], np.einsum("abcc->abc", Q))
            + s * np.einsum("ab,cd,abcd->abcd", self.p, m[1, 1], Q)
        )

    def _r(self) -> Tensor:
        layer, s, p = self.layer, self.s, self.p
        Theta, P = layer.Theta, layer.P
        v_pp = self.moments.m2011 + np.einsum("ab,abcd->abcd", self.sT, self.moments.m3111)
        return s * (
            np.einsum("abcd,ac,ad->abcd", v_pp, Theta, Theta)
            + np.einsum("ab,cd,acd->abcd", self.u[0], p, np.einsum("acad->acd", layer.B))
            + np.einsum("cd,ab,acd->abcd", p, self.u[0], np.einsum("acda->acd", P))
            + np.einsum("cd,ab,acdb->abcd", p, self.u[1], P)
            + s * np.einsum("ab,cd,abcd->abcd", p, p, layer.R)
        )

    def _s(self) -> Tensor:
        layer, s, p = self.layer, self.s, self.p
        both = self.moments.m1111 + np.einsum("ab,abcd->abcd", self.sT, self.moments.m2211)
        mean = p + self.sT * self.moments.pair[2, 2]
        return s * (
            np.einsum("abcd,ac,bd->abcd", both, layer.Theta, layer.Theta)
            + np.einsum("ab,cd,acbd->abcd", mean, p, layer.B)
            + s * np.einsum("ab,cd,abcd->abcd", p, p, layer.S)
        )

    def _t(self) -> Tensor:
        layer, s, p, sT = self.layer, self.s, self.p, self.sT
        Q = layer.Q
        u_u = (
            np.einsum("cdab->abcd", self.moments.m0011)
            + np.einsum("bd,bcad->abcd", sT, self.moments.m2011)
            + np.einsum("ac,adbc->abcd", sT, self.moments.m2011)
            + np.einsum("ac,bd,abcd->abcd", sT, sT, self.moments.m2211)
        )
        one_side = s * (
            np.einsum("bd,ac,bda->abcd", p, self.u[0], np.einsum("bdaa->bda", Q))
            + np.einsum("bd,ac,bdac->abcd", p, self.u[1], Q)
        )
        return (
            np.einsum("abcd,ab->abcd", u_u, layer.Theta)
            + self._slots(self.u, self.u).transpose(0, 2, 1, 3)
            + one_side
            + one_side.transpose(1, 0, 3, 2)
            + s**2 * np.einsum("ac,bd,abcd->abcd", p, p, layer.T)
        )

    def _u(self) -> Tensor:
        Theta, p = self.layer.Theta, self.p
        return self.s**2 * (
            np.einsum("abcd,ab,ac,bd->abcd", self.moments.m2211, Theta, Theta, Theta)
            + np.einsum("ad,bc,abcd->abcd", p, p, self.layer.U)
        )


def _outer(x: Matrix, y: Matrix) -> Tensor:
    return x[:, :, None, None] * y


def _linear(second: tuple[Matrix, Matrix, Matrix], X: Matrix) -> Matrix:
    """½⟨∂²_α g⟩ X_αα + ⟨∂_α∂_β g⟩ X_αβ + ½⟨∂²_β g⟩ X_ββ."""
    diagonal = np.diagonal(X)
    return 0.5 * (second[0] * diagonal[:, None] + second[2] * diagonal) + second[1] * X


def _linear_pair(second: tuple[Matrix, ...], X: Tensor) -> Tensor:
    """The same of the first two axes, which are symmetric, of a tensor."""
    first, mixed, last = (part[:, :, None, None] for part in second)
    diagonal = np.einsum("aacd->acd", X)
    return 0.5 * (first * diagonal[:, None] + last * diagonal) + mixed * X


def _quartic(fourth: tuple[Matrix, ...], V: Tensor) -> Matrix:
    """⅛ ⟨(Σ V ∂∂∂∂) g⟩ for a function g of two inputs, by its fourth derivatives."""
    same = np.einsum("aaaa->a", V)
    crossed = np.einsum("aaab->ab", V)
    return 0.125 * (
        fourth[0] * same[:, None]
        + 4 * fourth[1] * crossed
        + fourth[2] * (2 * np.einsum("aabb->ab", V) + 4 * np.einsum("abab->ab", V))
        + 4 * fourth[3] * np.einsum("abbb->ab", V)
        + fourth[4] * same
    )


def statistics(readout: Layer) -> dict[str, np.ndarray]:
    """What the last layer, a single neuron, says of f and its kernels, times m where it is small.

    All neurons agree there, so that every pairing of them counts.
    """
    D, F, B, R = readout.D, readout.F, readout.B, readout.R
    # m E f_a ∇²f_b[c, d] and m E ∇³f_a[b, c, d], and what two second derivatives share.
    second = (
        np.einsum("bcda->abcd", readout.P)
        + np.einsum("bcda->abcd", readout.Q)
        + np.einsum("bdca->abcd", readout.Q)
    )
    third = R + np.einsum("acbd->abcd", R) + np.einsum("adbc->abcd", R)
    product = readout.S + readout.T + readout.U
    return {
        "output": readout.G,
        "output_correction": readout.G1,
        "kernel": readout.Theta,
        "kernel_correction": readout.Theta1,
        "output_cumulant": readout.V
        + np.einsum("acbd->abcd", readout.V)
        + np.einsum("adbc->abcd", readout.V),
        "output_kernel": D + F + np.einsum("bacd->abcd", F),
        "kernel_covariance": readout.A + B + np.einsum("abdc->abcd", B),
        "output_third": second + np.einsum("acbd->abcd", second),
        "fourth_kernel": third
        + np.einsum("bacd->abcd", third)
        + product
        + np.einsum("acbd->abcd", product)
        + np.einsum("bacd->abcd", product)
        + np.einsum("bcad->abcd", product),
    }
