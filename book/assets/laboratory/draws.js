// What all networks do, without a draw: mean and scatter at infinite width, and the first
// correction at width m. A function that needs nothing but what mathematics.js returns.
"use strict";

function nthLaboratoryDraws({ at, activated, rows, dot, gram, eigen, integrate, run }) {
  // ------------------------------------------------------------------ at infinite width

  const HERMITE = 180; // orders: those of a tanh of variance one fall like e^(−π√k / 2)

  /** Coefficients of σ(√q z) and σ′(√q z), z normal, in Hermite's orthonormal polynomials. */
  function hermite(name, q) {
    const found = [new Float64Array(HERMITE), new Float64Array(HERMITE)];
    const step = 1 / 8; // the trapezoidal rule is exact to rounding here
    for (let z = -12; z <= 12; z += step) {
      const [value, slope] = at(name)(Math.sqrt(q) * z);
      const weight = (step * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
      let [before, now] = [0, weight];
      for (let k = 0; k < HERMITE; k++) {
        found[0][k] += value * now;
        found[1][k] += slope * now;
        [before, now] = [now, (z * now - Math.sqrt(k) * before) / Math.sqrt(k + 1)];
      }
    }
    return found;
  }

  /** E σ(u) σ(v) and E σ′(u) σ′(v) for normal u, v of all entries of a covariance G: Mehler's sum. */
  function pairMeans(name, G, N) {
    const known = new Map(); // inputs of one length share their coefficients
    const series = Array.from({ length: N }, (_, i) => {
      const q = Number(G[i * N + i].toPrecision(12));
      if (!known.has(q)) known.set(q, hermite(name, q));
      return known.get(q);
    });
    const means = [new Float64Array(N * N), new Float64Array(N * N)];
    for (let i = 0; i < N; i++) {
      for (let j = 0; j <= i; j++) {
        const overlap = G[i * N + j] / Math.sqrt(G[i * N + i] * G[j * N + j]);
        const rho = Math.min(1, Math.max(-1, overlap));
        means.forEach((mean, which) => {
          const [a, b] = [series[i][which], series[j][which]];
          let sum = 0;
          for (let k = HERMITE - 1; k >= 0; k--) sum = sum * rho + a[k] * b[k];
          mean[i * N + j] = mean[j * N + i] = sum;
        });
      }
    }
    return means;
  }

  /** The covariance of f and the kernel K^(2) at infinite width and t = 0, both (N, N). */
  function limitKernels({ activation, depth, dim }, sigmaA, X) {
    const N = X.length / dim;
    let output = gram(X, X, dim);
    let kernel = output;
    for (let layer = 1; layer <= depth; layer++) {
      const variance = layer === depth ? sigmaA ** 2 : 1; // of the weights that come next
      const [values, slopes] = pairMeans(activation, output, N);
      kernel = kernel.map((entry, at) => values[at] + variance * entry * slopes[at]);
      output = values.map((value) => variance * value);
    }
    return { output, kernel };
  }

  /**
   * Mean and standard deviation over all draws of infinite width, at each time and input (X and
   * then `test`): f_a(t) = f_a(0) + K_a G (y − f(0)) with G = (1 − e^(−K t/n)) / K.
   */
  function limit(net, sigmaA, X, y, test, times) {
    const n = y.length;
    const { output, kernel } = limitKernels(net, sigmaA, Float64Array.from([...X, ...test]));
    const N = Math.sqrt(output.length);
    const block = Float64Array.from({ length: n * n }, (_, at) => kernel[Math.floor(at / n) * N + (at % n)]);
    const { values, vectors } = eigen(block, n);
    return Array.from(times, (t) => {
      const gain = new Float64Array(n * n);
      values.forEach((value, k) => {
        const share = Math.abs(value) * t > 1e-12 ? -Math.expm1((-value * t) / n) / value : t / n;
        for (let g = 0; g < n; g++) {
          for (let d = 0; d < n; d++) gain[g * n + d] += vectors[k * n + g] * share * vectors[k * n + d];
        }
      });
      const [mean, deviation] = [new Float64Array(N), new Float64Array(N)];
      for (let a = 0; a < N; a++) {
        const pull = Float64Array.from({ length: n }, (_, g) => dot(kernel.subarray(a * N, a * N + n), rows(gain, n, g)));
        let variance = output[a * N + a];
        for (let g = 0; g < n; g++) {
          const across = dot(pull, output.subarray(g * N, g * N + n));
          variance += pull[g] * (across - 2 * output[a * N + g]);
        }
        mean[a] = dot(pull, y);
        deviation[a] = Math.sqrt(Math.max(0, variance));
      }
      return { mean, deviation };
    });
  }

  // ------------------------------------------------- to order 1/m, with one hidden layer

  const [STEP, FAR] = [0.28, 7]; // of the trapezoidal rule over a unit's two weights

  /** Points of the plane, (M, 2), and the roots of their weights under the normal law. */
  function plane() {
    const [points, roots] = [[], []];
    const most = Math.floor(FAR / STEP);
    for (let i = -most; i <= most; i++) {
      for (let j = -most; j <= most; j++) {
        const square = STEP * STEP * (i * i + j * j);
        if (square > FAR * FAR) continue;
        points.push(STEP * i, STEP * j);
        roots.push(STEP * Math.sqrt(Math.exp(-square / 2) / (2 * Math.PI)));
      }
    }
    return { points: Float64Array.from(points), roots: Float64Array.from(roots) };
  }
  const { points: UNITS, roots: ROOTS } = plane();

  /**
   * The limits of m Cov(K, K), m Cov(f f, K), m E f K^(3) and m E K^(4) over draws, (N, N, N, N) each,
   * for N inputs on the circle: means over one unit, its readout integrated out. Letters are those of
   * the chapter's expansion: w = σ′σ, u = w + s G σ″σ′, v = σ″σ + s G σ‴σ′, of pairs of inputs.
   */
  function expansion(name, s, X) {
    const N = X.length / 2;
    const M = ROOTS.length;
    const G = gram(X, X, 2);
    const [zero, one, two, three] = activated(name, gram(X, UNITS, 2), 3);
    const pair = (left, right) => {
      const out = new Float64Array(N * N * M);
      for (let p = 0; p < N * N; p++) {
        const [a, b] = [rows(left, M, Math.floor(p / N)), rows(right, M, p % N)];
        for (let i = 0; i < M; i++) out[p * M + i] = a[i] * b[i] * ROOTS[i];
      }
      return out;
    };
    const plus = (first, second) => first.map((value, k) => value + s * G[Math.floor(k / M)] * second[k]);
    const [ss, pp, w, cc] = [pair(zero, zero), pair(one, one), pair(one, zero), pair(two, two)];
    const [l, u, v] = [plus(ss, pp), plus(w, pair(two, one)), plus(pair(two, zero), pair(three, one))];
    const mean = (feature) => Float64Array.from({ length: N * N }, (_, p) => dot(rows(feature, M, p), ROOTS));
    const product = (left, right) => {
      const found = gram(left, right, M);
      return (a, b, c, d) => found[((a * N + b) * N + c) * N + d];
    };
    const [ll, sl, ww, uu, uw] = [[l, l], [ss, l], [w, w], [u, u], [u, w]].map((both) => product(...both));
    const [ppp, qpp, vpp, cpp, kpp] = [pp, pair(two, zero), v, cc, plus(pp, cc)].map((left) => product(left, pp));
    const [meanS, meanL] = [mean(ss), mean(l)];
    const g = (a, b) => G[a * N + b];
    const tensor = (entry) => Float64Array.from({ length: N ** 4 }, (_, k) =>
      entry(Math.floor(k / N ** 3), Math.floor(k / N ** 2) % N, Math.floor(k / N) % N, k % N));

    const z = (a, b, c, d) => s * s * qpp(b, a, c, d) * g(b, c) * g(b, d)
      + s * (uw(b, c, d, a) * g(b, d) + uw(b, d, c, a) * g(b, c));
    const bent = (a, b, c, d) => s * vpp(a, b, c, d) * g(a, c) * g(a, d);
    const third = (a, b, c, d) => bent(a, b, c, d) + bent(a, c, b, d) + bent(a, d, b, c);
    const square = (a, b, c, d) => s * kpp(a, b, c, d) * g(a, c) * g(b, d) + uu(a, c, b, d) * g(a, b)
      + s * s * cpp(a, b, c, d) * g(a, b) * g(a, c) * g(b, d);
    return {
      kernels: tensor((a, b, c, d) => ll(a, b, c, d) - meanL[a * N + b] * meanL[c * N + d]
        + 2 * s * s * ppp(a, b, c, d) * g(a, b) * g(c, d)),
      outputs: tensor((a, b, c, d) => s * (sl(a, b, c, d) - meanS[a * N + b] * meanL[c * N + d])
        + s * s * g(c, d) * (ww(c, a, d, b) + ww(c, b, d, a))),
      third: tensor((a, b, c, d) => z(a, b, c, d) + z(a, c, b, d)),
      fourth: tensor((a, b, c, d) => third(a, b, c, d) + third(b, a, c, d) + square(a, b, c, d)
        + square(a, c, b, d) + square(b, a, c, d) + square(b, c, a, d)),
    };
  }

  /** A tensor with `rank` axes of length N, each turned by the matrix V (N, N). */
  function turned(tensor, N, rank, V) {
    for (let axis = 0; axis < rank; axis++) { // the first axis is turned and becomes the last
      const rest = tensor.length / N;
      const out = new Float64Array(tensor.length);
      for (let j = 0; j < N; j++) {
        for (let g = 0; g < N; g++) {
          const factor = V[j * N + g];
          if (factor === 0) continue;
          for (let k = 0; k < rest; k++) out[k * N + j] += factor * tensor[g * rest + k];
        }
      }
      tensor = out;
    }
    return tensor;
  }

  /**
   * What is to be added, over m, to mean and variance at infinite width, for the training inputs and
   * one more; `parts` are the lengths of the mean's summands. Per time; the equations are those of
   * nthlib's predict_ensemble, in the eigenvectors of the kernel on the training inputs.
   */
  function corrections(name, s, X, y, times, tolerance = 1e-5) {
    const n = y.length;
    const N = n + 1; // the last index is the input that is not trained on
    const { output, kernel } = limitKernels({ activation: name, depth: 1, dim: 2 }, Math.sqrt(s), X);
    const block = Float64Array.from({ length: n * n }, (_, at) => kernel[Math.floor(at / n) * N + (at % n)]);
    const { values, vectors } = eigen(block, n);
    const V = new Float64Array(N * N);
    V[N * N - 1] = 1;
    for (let j = 0; j < n; j++) V.set(rows(vectors, n, j), j * N);
    const rate = values.map((value) => Math.max(value, 0) / n);
    const below = turned(kernel, N, 2, V).slice(n * N, n * N + n).map((value) => value / n);
    const f = turned(output, N, 2, V);
    const c = Float64Array.from({ length: n }, (_, j) => -dot(rows(vectors, n, j), y));
    const both = (b, d) => c[b] * c[d] + f[b * N + d];
    const raw = expansion(name, s, X);
    const [C22, C112, C13, K4] = [raw.kernels, raw.outputs, raw.third, raw.fourth].map((T) => turned(T, N, 4, V));
    const at = (a, b, e, d) => ((a * N + b) * N + e) * N + d;

    const sizes = [n, n, n * n, n * n, n * n, N, N, N, N * N];
    const cut = (z) => {
      let end = 0;
      return sizes.map((size) => z.subarray(end, (end += size)));
    };
    const pulled = (from, out, a, offset) => { // −𝔎 φ / n
      if (a < n) out[offset + a] -= rate[a] * from[offset + a];
      else for (let b = 0; b < n; b++) out[offset + a] -= below[b] * from[offset + b];
    };
    const velocity = (z, out) => {
      const [e, t, D, , S, ...known] = cut(z);
      const [e_, t_, D_, I_, S_, ...next] = cut(out);
      out.fill(0);
      for (let j = 0; j < n; j++) {
        e_[j] = -rate[j] * e[j];
        t_[j] = e[j]; // ∫ e
        for (let k = 0; k < n; k++) {
          D_[j * n + k] = e[k] - rate[j] * D[j * n + k];
          I_[j * n + k] = D[j * n + k];
          S_[j * n + k] = e[j] * t[k];
        }
      }
      for (let a = 0; a < N; a++) {
        // what multiplies r_j(0), from C22, from C13 and from K^(4) with a pair of residuals averaged
        const [by22, by13, by4] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
        let cubic = 0;
        for (let b = 0; b < n; b++) {
          for (let j = 0; j < n; j++) {
            by22[j] += (C22[at(a, b, b, j)] * D[b * n + j]) / n ** 2;
            by13[b] += (e[b] * t[j] * C13[at(j, a, b, j)]) / n ** 2;
            by13[j] += (e[b] * t[j] * C13[at(b, a, b, j)]) / n ** 2;
            for (let d = 0; d < n; d++) {
              const term = (-K4[at(a, b, j, d)] * e[b] * S[j * n + d]) / n ** 3;
              by4[b] += term * both(j, d);
              by4[j] += term * both(b, d);
              by4[d] += term * both(b, j);
              cubic += term * c[b] * c[j] * c[d];
            }
          }
        }
        [dot(by22, c), dot(by13, c), dot(by4, c) - 2 * cubic].forEach((source, part) => {
          next[part][a] += source;
          pulled(known[part], next[part], a, 0);
        });
        for (let q = 0; q < N; q++) {
          let sum = 0;
          for (let j = 0; j < n; j++) {
            sum += f[q * N + j] * (by22[j] + by13[j] + by4[j]) - (C112[at(q, j, a, j)] * e[j]) / n;
            for (let b = 0; b < n; b++) sum += (e[b] * t[j] * C13[at(q, a, b, j)] * both(b, j)) / n ** 2;
          }
          next[3][q * N + a] += sum;
          pulled(known[3], next[3], a, q * N);
        }
      }
    };
    const start = new Float64Array(sizes.reduce((sum, size) => sum + size, 0)).fill(1, 0, n);
    const error = (defect, z) => Math.sqrt(defect.reduce((sum, value, i) =>
      sum + (value / (tolerance * (1 + Math.abs(z[i])))) ** 2, 0) / z.length);

    return run(integrate(velocity, start, times, error), (z) => {
      const [e, t, D, I, , ...found] = cut(z);
      const U = found[3];
      // how f_a answers to a change of the kernel's entry (p, j), times r_j(0)
      const answers = (a) => Float64Array.from({ length: N * n }, (_, k) => {
        const [p, j] = [Math.floor(k / n), k % n];
        if (a < n) return p === a ? -D[a * n + j] / n : 0;
        return p === a ? -t[j] / n : (below[p] * I[p * n + j]) / n;
      });
      const W = Array.from({ length: N }, (_, a) => answers(a));
      const spread = (a, b) => {
        let sum = 0;
        W[a].forEach((left, k) => {
          if (left === 0) return;
          const [p, j] = [Math.floor(k / n), k % n];
          W[b].forEach((right, i) => {
            if (right !== 0) sum += left * right * C22[at(p, j, Math.floor(i / n), i % n)] * both(j, i % n);
          });
        });
        return sum;
      };
      const across = (a, b) => {
        if (a < n) return e[a] * U[a * N + b];
        let sum = U[a * N + b];
        for (let j = 0; j < n; j++) sum -= below[j] * t[j] * U[j * N + b];
        return sum;
      };
      const whole = (a, b) => spread(a, b) + across(a, b) + across(b, a);
      const variance = new Float64Array(N);
      variance[n] = whole(n, n);
      for (let i = 0; i < n; i++) {
        for (let k = 0; k < n; k++) {
          const entry = whole(i, k);
          for (let g = 0; g < n; g++) variance[g] += V[i * N + g] * entry * V[k * N + g];
        }
      }
      const back = (part) => Float64Array.from({ length: N }, (_, g) => {
        let sum = 0;
        for (let j = 0; j < N; j++) sum += V[j * N + g] * part[j];
        return sum;
      });
      const parts = found.slice(0, 3).map(back);
      return { mean: parts[0].map((_, g) => parts[0][g] + parts[1][g] + parts[2][g]), variance, parts };
    }).seen;
  }

  return { limitKernels, limit, corrections };
}

if (typeof module !== "undefined") module.exports = nthLaboratoryDraws;
