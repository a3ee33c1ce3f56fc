// The laboratory's mathematics: a network, its kernels, its training, its truncated hierarchy.
// One function that needs nothing from outside: a worker is made from its text, since a page that
// was opened from a folder may load no worker from a file. tests/book/test_laboratory.py compares
// what it computes with nthlib.
"use strict";

function nthLaboratoryMathematics() {
  // A matrix is a Float64Array, row after row; `rows(X, m, i)` looks at row i without a copy.
  const rows = (X, m, i) => X.subarray(i * m, (i + 1) * m);

  function dot(a, b) {
    let one = 0;
    let two = 0;
    const even = a.length - (a.length % 2);
    for (let i = 0; i < even; i += 2) { // two sums at a time: neither waits for the other
      one += a[i] * b[i];
      two += a[i + 1] * b[i + 1];
    }
    return even < a.length ? one + two + a[even] * b[even] : one + two;
  }

  // -------------------------------------------------------------------------- activations

  const ROOT = Math.sqrt(2 / Math.PI);
  const logistic = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

  /** The error function: its series near zero, and further out the fraction of its complement. */
  function erf(x) {
    const size = Math.abs(x);
    if (size > 6) return Math.sign(x);
    if (size < 2.5) {
      let [term, sum] = [x, x];
      for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
        term *= (2 * x * x) / (2 * k + 1);
        sum += term;
      }
      return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
    }
    let tail = size;
    for (let k = 60; k >= 1; k--) tail = size + k / 2 / tail;
    return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail));
  }

  // σ, σ′, σ″, σ‴ at a point. gelu is that of jax.nn, with its tanh.
  // `constant`: the radius of convergence of a unit with a large readout, times that readout.
  const ACTIVATIONS = {
    tanh: {
      constant: Math.PI / 4,
      at(x) {
        const t = Math.tanh(x);
        const d = 1 - t * t;
        return [t, d, -2 * t * d, d * (6 * t * t - 2)];
      },
    },
    softplus: {
      constant: Math.PI,
      at(x) {
        const s = logistic(x);
        const d = s * (1 - s);
        return [Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), s, d, d * (1 - 2 * s)];
      },
    },
    erf: {
      constant: Math.PI / 4,
      at(x) {
        const d = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);
        return [erf(x), d, -2 * x * d, (4 * x * x - 2) * d];
      },
    },
    gelu: {
      constant: 1.269,
      at(x) {
        const c = 0.044715;
        const [u1, u2, u3] = [ROOT * (1 + 3 * c * x * x), ROOT * 6 * c * x, ROOT * 6 * c];
        const t = Math.tanh(ROOT * (x + c * x * x * x));
        const d = 1 - t * t;
        const t1 = d * u1;
        const t2 = d * (u2 - 2 * t * u1 * u1);
        const t3 = d * (u3 - 6 * t * u1 * u2 + (6 * t * t - 2) * u1 * u1 * u1);
        return [0.5 * x * (1 + t), 0.5 * (1 + t + x * t1), t1 + 0.5 * x * t2, 1.5 * t2 + 0.5 * x * t3];
      },
    },
    sin: {
      constant: Math.PI / 2,
      at(x) {
        const [s, c] = [Math.sin(x), Math.cos(x)];
        return [s, c, -s, -c];
      },
    },
  };

  /** σ, .., σ^(order) of all entries. */
  function activated(name, h, order) {
    const { at } = ACTIVATIONS[name];
    const values = Array.from({ length: order + 1 }, () => new Float64Array(h.length));
    for (let i = 0; i < h.length; i++) {
      const found = at(h[i]);
      for (let r = 0; r <= order; r++) values[r][i] = found[r];
    }
    return values;
  }

  // ---------------------------------------------------------------------------- the draw

  /** A number in (0, 1) that depends on three whole numbers and on nothing else. */
  function uniform(seed, row, column) {
    let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(row + 0x165667b1, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) ^ Math.imul(column + 0x27d4eb2f, 0x297a2d39);
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
    return ((h ^ (h >>> 16)) >>> 0) / 4294967296 + 1 / 8589934592;
  }

  const normal = (seed, row, column) =>
    Math.sqrt(-2 * Math.log(uniform(seed, row, 2 * column)))
    * Math.cos(2 * Math.PI * uniform(seed, row, 2 * column + 1));

  /** W_ij ~ N(0, 1), a_i ~ N(0, σ_a²). The narrower network has the first units of the wider. */
  function draw({ width, depth, dim = 2, sigmaA = 1, seed = 1 }) {
    const theta = new Float64Array(size({ width, depth, dim }));
    const { weights, readout } = parts({ width, depth, dim }, theta);
    weights.forEach((W, layer) => {
      const columns = layer === 0 ? dim : width;
      for (let i = 0; i < width; i++) {
        for (let j = 0; j < columns; j++) W[i * columns + j] = normal(seed, 4096 * layer + i, j);
      }
    });
    for (let i = 0; i < width; i++) readout[i] = sigmaA * normal(seed, 65536, i);
    return theta;
  }

  const size = ({ width, depth, dim }) => width * (dim + 1) + (depth - 1) * width * width;

  /** Views of the parameters: W^(1) (m, d), W^(2) (m, m), a (m). */
  function parts({ width, depth, dim }, theta) {
    const weights = [theta.subarray(0, width * dim)];
    let end = width * dim;
    for (let layer = 1; layer < depth; layer++) {
      weights.push(theta.subarray(end, end + width * width));
      end += width * width;
    }
    return { weights, readout: theta.subarray(end) };
  }

  // ----------------------------------------------------------------------------- products

  // Four vectors at a time, so that a number of W is fetched once for all of them.

  /** W v for each of some vectors, the rows of V (k, columns): (k, m). */
  function forward(W, V, k, m, columns) {
    const out = new Float64Array(k * m);
    for (let v = 0; v < k; v += 4) {
      const [v0, v1, v2, v3] = [0, 1, 2, 3].map((more) => Math.min(v + more, k - 1));
      const [p0, p1, p2, p3] = [v0 * columns, v1 * columns, v2 * columns, v3 * columns];
      for (let i = 0; i < m; i++) {
        let s0 = 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        for (let j = 0, w = i * columns; j < columns; j++, w++) {
          const weight = W[w];
          s0 += weight * V[p0 + j];
          s1 += weight * V[p1 + j];
          s2 += weight * V[p2 + j];
          s3 += weight * V[p3 + j];
        }
        out[v0 * m + i] = s0;
        out[v1 * m + i] = s1;
        out[v2 * m + i] = s2;
        out[v3 * m + i] = s3;
      }
    }
    return out;
  }

  /** Σ_g factors[g m + i] x_g into row i of W, for x_g the rows of X (k, columns). */
  function addOuter(W, factors, X, k, m, columns) {
    for (let g = 0; g < k; g += 4) {
      const last = k - g; // fewer than four: the others count with a factor of zero
      const [p0, p1, p2, p3] = [0, 1, 2, 3].map((more) => Math.min(g + more, k - 1) * columns);
      for (let i = 0; i < m; i++) {
        const f0 = factors[g * m + i];
        const f1 = last > 1 ? factors[(g + 1) * m + i] : 0;
        const f2 = last > 2 ? factors[(g + 2) * m + i] : 0;
        const f3 = last > 3 ? factors[(g + 3) * m + i] : 0;
        for (let j = 0, w = i * columns; j < columns; j++, w++) {
          W[w] += f0 * X[p0 + j] + f1 * X[p1 + j] + f2 * X[p2 + j] + f3 * X[p3 + j];
        }
      }
    }
  }

  /** Wᵀ v for each of some vectors, the rows of V (k, m): (k, columns). */
  function backward(W, V, k, m, columns) {
    const out = new Float64Array(k * columns);
    for (let i = 0; i < m; i += 4) {
      const last = m - i;
      const [p0, p1, p2, p3] = [0, 1, 2, 3].map((more) => Math.min(i + more, m - 1) * columns);
      for (let v = 0; v < k; v++) {
        const at = v * m + i;
        const f0 = V[at];
        const f1 = last > 1 ? V[at + 1] : 0;
        const f2 = last > 2 ? V[at + 2] : 0;
        const f3 = last > 3 ? V[at + 3] : 0;
        for (let j = 0, o = v * columns; j < columns; j++, o++) {
          out[o] += f0 * W[p0 + j] + f1 * W[p1 + j] + f2 * W[p2 + j] + f3 * W[p3 + j];
        }
      }
    }
    return out;
  }

  /** ⟨a_i, b_j⟩ of the rows of two matrices with m columns. */
  function gram(A, B, m) {
    const [p, q] = [A.length / m, B.length / m];
    return forward(B, A, p, q, m);
  }

  // -------------------------------------------------------------------------- the network

  /** f(X) of all inputs (k, d). */
  function predictions(net, theta, X) {
    const { width: m, dim } = net;
    const k = X.length / dim;
    const { weights, readout } = parts(net, theta);
    let [x, columns] = [X, dim];
    for (const W of weights) {
      x = activated(net.activation, forward(W, x, k, m, columns), 0)[0];
      for (let i = 0; i < x.length; i++) x[i] /= Math.sqrt(m);
      columns = m;
    }
    return Float64Array.from({ length: k }, (_, i) => dot(rows(x, m, i), readout));
  }

  /**
   * One pass forward and one backward. For each layer, with rows for the inputs: `x` what enters,
   * `h` W x, `slopes` σ, σ′, .. divided by √m, `b` ∂f/∂(what leaves), `lambda` ∂f/∂h.
   */
  function states(net, theta, X, order = 1) {
    const { width: m, dim } = net;
    const k = X.length / dim;
    const { weights, readout } = parts(net, theta);
    const layers = [];
    let [x, columns] = [X, dim];
    for (const W of weights) {
      const h = forward(W, x, k, m, columns);
      const slopes = activated(net.activation, h, order);
      for (const slope of slopes) for (let i = 0; i < slope.length; i++) slope[i] /= Math.sqrt(m);
      layers.push({ W, x, columns, h, slopes });
      [x, columns] = [slopes[0], m];
    }
    let b = new Float64Array(k * m);
    for (let i = 0; i < k; i++) b.set(readout, i * m);
    for (const layer of layers.slice().reverse()) {
      layer.b = b;
      layer.lambda = b.map((value, i) => value * layer.slopes[1][i]);
      if (layer !== layers[0]) b = backward(layer.W, layer.lambda, k, m, m);
    }
    return {
      count: k, m, layers, output: x,
      f: Float64Array.from({ length: k }, (_, i) => dot(rows(x, m, i), readout)),
    };
  }

  /** K^(2) between the inputs of two passes, (rows, columns). */
  function tangentKernel(left, right) {
    const K = gram(left.output, right.output, left.m);
    left.layers.forEach((layer, l) => {
      const adjoints = gram(layer.lambda, right.layers[l].lambda, left.m);
      const inputs = gram(layer.x, right.layers[l].x, layer.columns);
      for (let i = 0; i < K.length; i++) K[i] += adjoints[i] * inputs[i];
    });
    return K;
  }

  /** Σ_γ force_γ ∇f_γ into `out`, for a pass over the training inputs. */
  function direction(net, pass, force, out) {
    out.fill(0);
    const { weights, readout } = parts(net, out);
    pass.layers.forEach(({ lambda, x, columns }, l) => {
      const factors = lambda.map((value, at) => force[Math.floor(at / pass.m)] * value);
      addOuter(weights[l], factors, x, pass.count, pass.m, columns);
    });
    for (let g = 0; g < pass.count; g++) {
      for (let i = 0; i < pass.m; i++) readout[i] += force[g] * pass.output[g * pass.m + i];
    }
  }

  // --------------------------------------------------------------- kernels of order 3 and 4

  /**
   * How the passes of the samples (k) change along ∇f of the fields (q): for each layer `h`, `x`
   * (what leaves it), `b`, `lambda` with rows (sample, field). A gradient has rank one in a layer.
   */
  function tangents(samples, fields) {
    const { m, count: k } = samples;
    const q = fields.count;
    const found = samples.layers.map(() => ({}));
    const pairs = (fill) => {
      const out = new Float64Array(k * q * m);
      for (let s = 0; s < k; s++) {
        for (let v = 0; v < q; v++) fill(rows(out, m, s * q + v), s, v, s * q + v);
      }
      return out;
    };
    samples.layers.forEach((layer, l) => {
      const across = gram(layer.x, fields.layers[l].x, layer.columns);
      const through = l > 0 ? forward(layer.W, found[l - 1].x, k * q, m, m) : null;
      found[l].h = pairs((out, s, v, at) => {
        const lambda = rows(fields.layers[l].lambda, m, v);
        for (let i = 0; i < m; i++) {
          out[i] = across[at] * lambda[i] + (through ? through[at * m + i] : 0);
        }
      });
      found[l].x = pairs((out, s, v, at) => {
        const slope = rows(layer.slopes[1], m, s);
        for (let i = 0; i < m; i++) out[i] = slope[i] * found[l].h[at * m + i];
      });
    });
    for (let l = samples.layers.length - 1; l >= 0; l--) {
      const layer = samples.layers[l];
      const above = samples.layers[l + 1];
      if (above) {
        const across = gram(above.lambda, fields.layers[l + 1].lambda, m);
        const through = backward(above.W, found[l + 1].lambda, k * q, m, m);
        found[l].b = pairs((out, s, v, at) => {
          const x = rows(fields.layers[l + 1].x, m, v);
          for (let i = 0; i < m; i++) out[i] = across[at] * x[i] + through[at * m + i];
        });
      } else {
        found[l].b = pairs((out, s, v) => out.set(rows(fields.output, m, v)));
      }
      found[l].lambda = pairs((out, s, v, at) => {
        const [slope, bend] = [1, 2].map((order) => rows(layer.slopes[order], m, s));
        const b = rows(layer.b, m, s);
        for (let i = 0; i < m; i++) {
          out[i] = found[l].b[at * m + i] * slope[i] + b[i] * bend[i] * found[l].h[at * m + i];
        }
      });
    }
    return { samples, fields, layers: found };
  }

  /** ⟨H_α ∇f_v, ∇f_β⟩ = ∇²f_α[∇f_v, ∇f_β], with rows (α, v) and columns β; H is the Hessian. */
  function hessians(moved, others) {
    const { samples, fields, layers } = moved;
    const { m } = samples;
    const out = gram(layers[layers.length - 1].x, others.output, m);
    samples.layers.forEach((layer, l) => {
      const other = others.layers[l];
      const inputs = gram(layer.x, other.x, layer.columns);
      const adjoints = gram(layer.lambda, other.lambda, m);
      const dotAdjoints = gram(layers[l].lambda, other.lambda, m);
      const dotInputs = l > 0 ? gram(layers[l - 1].x, other.x, m) : null;
      for (let at = 0; at < out.length; at++) {
        const beta = at % others.count;
        const pair = Math.floor(at / others.count / fields.count) * others.count + beta;
        out[at] += dotAdjoints[at] * inputs[pair];
        if (dotInputs) out[at] += dotInputs[at] * adjoints[pair];
      }
    });
    return out;
  }

  /** ⟨H_α ∇f_u, H_β ∇f_v⟩ with rows (α, u) of `left` and columns (β, v) of `right`. */
  function hessianGram(left, right) {
    const { m } = left.samples;
    const [p, q] = [left.fields.count, right.fields.count];
    const [top, below] = [left.layers.length - 1, right.samples.count * q];
    const out = gram(left.layers[top].x, right.layers[top].x, m);
    left.samples.layers.forEach((layer, l) => {
      const other = right.samples.layers[l];
      const inputs = gram(layer.x, other.x, layer.columns);
      const adjoints = gram(layer.lambda, other.lambda, m);
      const dots = gram(left.layers[l].lambda, right.layers[l].lambda, m);
      const moving = l > 0;
      const dotInputs = moving ? gram(left.layers[l - 1].x, right.layers[l - 1].x, m) : null;
      const lambdaLeft = moving ? gram(left.layers[l].lambda, other.lambda, m) : null;
      const lambdaRight = moving ? gram(layer.lambda, right.layers[l].lambda, m) : null;
      const inputLeft = moving ? gram(left.layers[l - 1].x, other.x, m) : null;
      const inputRight = moving ? gram(layer.x, right.layers[l - 1].x, m) : null;
      for (let row = 0; row < left.samples.count * p; row++) {
        const alpha = Math.floor(row / p);
        for (let column = 0; column < below; column++) {
          const beta = Math.floor(column / q);
          const pair = alpha * right.samples.count + beta;
          let sum = dots[row * below + column] * inputs[pair];
          if (moving) {
            const mixed = row * right.samples.count + beta;
            const other = alpha * below + column;
            sum += dotInputs[row * below + column] * adjoints[pair]
              + lambdaLeft[mixed] * inputRight[other] + inputLeft[mixed] * lambdaRight[other];
          }
          out[row * below + column] += sum;
        }
      }
    });
    return out;
  }

  /**
   * ∇³f_α[∇f_u, ∇f_v, ∇f_w] from first-order tangents alone (the 2n + 1 rule). `one` and `two`
   * are tangents of the same samples; u is a field of `one`, v and w are fields of `two`.
   */
  function thirdDerivatives(one, two) {
    const { samples } = one;
    const { m, count: k } = samples;
    const [p, q] = [one.fields.count, two.fields.count];
    const out = new Float64Array(k * p * q * q);
    samples.layers.forEach((layer, l) => {
      const work = new Float64Array(m);
      for (let s = 0; s < k; s++) {
        const b = rows(layer.b, m, s);
        const [bend, twist] = [2, 3].map((order) => rows(layer.slopes[order], m, s));
        for (let u = 0; u < p; u++) {
          const [hu, bu] = [rows(one.layers[l].h, m, s * p + u), rows(one.layers[l].b, m, s * p + u)];
          for (let v = 0; v < q; v++) {
            const [hv, bv] = [rows(two.layers[l].h, m, s * q + v), rows(two.layers[l].b, m, s * q + v)];
            // what stands beside h^w: b φ‴ h^u h^v + φ″ (b^u h^v + b^v h^u)
            for (let i = 0; i < m; i++) {
              work[i] = b[i] * twist[i] * hu[i] * hv[i] + bend[i] * (bu[i] * hv[i] + bv[i] * hu[i]);
            }
            for (let w = 0; w < q; w++) {
              const [hw, bw] = [rows(two.layers[l].h, m, s * q + w), rows(two.layers[l].b, m, s * q + w)];
              let sum = 0;
              for (let i = 0; i < m; i++) sum += work[i] * hw[i] + bw[i] * bend[i] * hu[i] * hv[i];
              out[((s * p + u) * q + v) * q + w] += sum;
            }
          }
        }
      }
      if (l === 0) return; // the input does not move
      // λ^u · W(v) · x^w over the six orders, and W(v) = λ_v xᵥᵀ
      const overlaps = (moved, fields) => ({
        back: gram(moved.layers[l].lambda, fields.layers[l].lambda, m),
        front: gram(moved.layers[l - 1].x, fields.layers[l].x, m),
      });
      const [uv, vv, vu] = [overlaps(one, two.fields), overlaps(two, two.fields), overlaps(two, one.fields)];
      for (let s = 0; s < k; s++) {
        for (let u = 0; u < p; u++) {
          for (let v = 0; v < q; v++) {
            for (let w = 0; w < q; w++) {
              // [moved along first, through the gradient of second]
              const [a, c] = [(s * p + u) * q + v, (s * p + u) * q + w];
              const [d, e] = [(s * q + v) * p + u, (s * q + w) * p + u];
              const [g, h] = [(s * q + v) * q + w, (s * q + w) * q + v];
              out[((s * p + u) * q + v) * q + w] += uv.back[a] * vv.front[h] + vv.back[h] * uv.front[a]
                + uv.back[c] * vv.front[g] + vv.back[g] * uv.front[c]
                + vu.back[d] * vu.front[e] + vu.back[e] * vu.front[d];
            }
          }
        }
      }
    });
    return out;
  }

  /**
   * K^(2), K^(3), K^(4) of the draw. The first index runs over the training inputs and then over
   * those of `test`, all others over the training inputs. (N, n), (N, n, n), (N, n, n, n).
   */
  function kernels(net, theta, X, test = new Float64Array(0)) {
    const { dim } = net;
    const train = states(net, theta, X, 3);
    const n = train.count;
    const all = states(net, theta, Float64Array.from([...X, ...test]), 3);
    const N = all.count;
    const K = { 2: tangentKernel(all, train) };
    const moved = tangents(all, train); // rows (α, γ)
    const own = tangents(train, train);
    const along = tangents(train, all); // rows (β, α): a training input along any field

    const [curved, back] = [hessians(moved, train), hessians(along, train)];
    K[3] = new Float64Array(N * n * n);
    for (let a = 0; a < N; a++) {
      for (let b = 0; b < n; b++) {
        for (let g = 0; g < n; g++) {
          // ∇²f_α[β, γ] + ∇²f_β[α, γ]
          K[3][(a * n + b) * n + g] = curved[(a * n + g) * n + b] + back[(b * N + a) * n + g];
        }
      }
    }
    const third = thirdDerivatives(moved, moved);
    const thirdBack = thirdDerivatives(along, own);
    const pairs = hessianGram(moved, own); // (α, γ), (β, δ)
    const pairsBack = hessianGram(along, own); // (β, α), (γ, δ)
    K[4] = new Float64Array(N * n * n * n);
    const M = n * n;
    for (let a = 0; a < N; a++) {
      for (let b = 0; b < n; b++) {
        for (let g = 0; g < n; g++) {
          for (let d = 0; d < n; d++) {
            K[4][((a * n + b) * n + g) * n + d] = third[((a * n + b) * n + g) * n + d]
              + thirdBack[((b * N + a) * n + g) * n + d]
              + pairs[(a * n + g) * M + b * n + d] // ⟨H_α γ, H_β δ⟩
              + pairs[(a * n + d) * M + b * n + g] // ⟨H_α δ, H_β γ⟩
              + pairs[(a * n + b) * M + g * n + d] // ⟨H_α β, H_γ δ⟩
              + pairsBack[(b * N + a) * M + g * n + d]; // ⟨H_β α, H_γ δ⟩
          }
        }
      }
    }
    return { 1: all.f, ...K, n, N };
  }

  // --------------------------------------------------------------------------- the solver

  const NODES = [
    [], [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
  ];
  const DEFECT = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

  /** Weights of the stages for the state within a step, at the part s of it: of order four. */
  function within(s) {
    const [rise, bump] = [s * s * (3 - 2 * s), s * s * (s - 1) * (s - 1)];
    const [b1, , b3, b4, b5, b6] = NODES[6];
    return [
      rise * b1 + s * (s - 1) * (s - 1) - (bump * 5 * (2558722523 - 31403016 * s)) / 11282082432,
      0,
      rise * b3 + (bump * 100 * (882725551 - 15701508 * s)) / 32700410799,
      rise * b4 - (bump * 25 * (443332067 - 31403016 * s)) / 1880347072,
      rise * b5 + (bump * 32805 * (23143187 - 3489224 * s)) / 199316789632,
      rise * b6 - (bump * 55 * (29972135 - 7076736 * s)) / 822651844,
      s * s * (s - 1) + (bump * 10 * (7414447 - 829305 * s)) / 29380423,
    ];
  }

  /**
   * Dormand and Prince's pair of orders 5 and 4. `velocity(z, out)` is autonomous; `error(defect,
   * z)` measures what a step missed in units of what is allowed. Yields [index, z] for each of the
   * times, to be looked at and not to be kept, and null for each step. Ends early, with `stopped`,
   * where a step grows too short or a number leaves all bounds.
   */
  function* integrate(velocity, z, times, error, smallest = 1e-9) {
    const stages = NODES.map(() => new Float64Array(z.length));
    const [next, work] = [new Float64Array(z.length), new Float64Array(z.length)];
    const end = times[times.length - 1];
    const combined = (out, weights, step) => {
      weights.forEach((weight, s) => {
        if (weight === 0) return;
        const factor = step * weight;
        const known = stages[s];
        for (let i = 0; i < out.length; i++) out[i] += factor * known[i];
      });
    };
    let t = times[0];
    let goal = 1;
    let step = (end - t) / 1000;
    velocity(z, stages[0]);
    yield [0, z];
    while (goal < times.length) {
      const last = step >= (end - t) * 0.999999;
      const tried = last ? end - t : step;
      for (let stage = 1; stage < 7; stage++) {
        next.set(z);
        combined(next, NODES[stage], tried);
        velocity(next, stages[stage]);
      }
      work.fill(0);
      combined(work, DEFECT, tried);
      const missed = error(work, next);
      const factor = Number.isFinite(missed) ? 0.9 * Math.max(missed, 1e-10) ** -0.2 : 0.1;
      step = tried * Math.min(5, Math.max(0.2, factor));
      if (missed <= 1) {
        const reached = last ? end : t + tried;
        for (; goal < times.length && times[goal] <= reached; goal++) {
          if (times[goal] === reached) {
            yield [goal, next];
          } else {
            work.set(z);
            combined(work, within((times[goal] - t) / tried), tried);
            yield [goal, work];
          }
        }
        t = reached;
        z.set(next);
        stages[0].set(stages[6]);
      }
      if (step < smallest * end) return { stopped: t };
      yield null;
    }
    return { stopped: Infinity };
  }

  const norm = (values) => Math.sqrt(dot(values, values));

  // -------------------------------------------------------------------- training and levels

  /** θ′ = Σ_γ ρ_γ ∇f_γ with the force ρ = (y − f)/n: gradient flow of the squared loss. */
  function flow(net, theta, X, y, times, tolerance = 1e-6) {
    const n = y.length;
    const force = new Float64Array(n);
    const velocity = (z, out) => {
      const pass = states(net, z, X);
      for (let g = 0; g < n; g++) force[g] = (y[g] - pass.f[g]) / n;
      direction(net, pass, force, out);
    };
    // The length of what is missed, and not its mean square: predictions have gradients of order one.
    return integrate(velocity, theta.slice(), times, (defect) => norm(defect) / tolerance);
  }

  /**
   * Weights b_1, b_2 of the strip sum at level p: x = π/(4B), w = tanh x, and the series of
   * artanh^k in w, cut at w^(p−2). At p ≤ 4 its only terms are w and w².
   */
  function stripWeights(action, halfWidth) {
    const x = (Math.PI * action) / (4 * halfWidth);
    const ratio = x < 1e-6 ? 1 : Math.tanh(x) / x;
    return [1, ratio, ratio * ratio];
  }

  /** The action max |∫ (f − y) dt|, from the words S_γ = ∫ ρ_γ dt, whose force is divided by n. */
  const actionOf = (S) => S.length * S.reduce((most, word) => Math.max(most, Math.abs(word)), 0);

  /** K̃^(2) = b_0 K + b_1 K^(3) S + b_2 K^(4) S S of the state [f (N), S (n), SS (n, n)], (N, n). */
  function levelKernel(K, level, z, halfWidth = null) {
    const { n, N } = K;
    const S = z.subarray(N, N + n);
    const SS = z.subarray(N + n);
    const action = actionOf(S);
    const [, b1, b2] = halfWidth === null ? [1, 1, 1] : stripWeights(action, halfWidth);
    const kernel = K[2].slice();
    for (let at = 0; at < N * n; at++) {
      if (level >= 3) kernel[at] += b1 * dot(rows(K[3], n, at), S);
      if (level >= 4) kernel[at] += b2 * dot(rows(K[4], n * n, at), SS);
    }
    return kernel;
  }

  /** The hierarchy cut at level 2, 3 or 4, from kernels: f′ = K̃ ρ, S_γ′ = ρ_γ, S_γδ′ = ρ_γ S_δ. */
  function truncated(K, y, times, level, { halfWidth = null, tolerance = 1e-7 } = {}) {
    const { n, N } = K;
    const start = new Float64Array(N + n + n * n);
    start.set(K[1]);
    const velocity = (z, out) => {
      const kernel = levelKernel(K, level, z, halfWidth);
      const force = out.subarray(N, N + n);
      for (let g = 0; g < n; g++) force[g] = (y[g] - z[g]) / n;
      for (let a = 0; a < N; a++) out[a] = dot(rows(kernel, n, a), force);
      for (let g = 0; g < n; g++) {
        for (let d = 0; d < n; d++) out[N + n + g * n + d] = force[g] * z[N + d];
      }
    };
    const error = (defect, z) => {
      let sum = 0;
      for (let i = 0; i < z.length; i++) {
        const allowed = tolerance * (1 + Math.abs(z[i]));
        sum += (defect[i] / allowed) ** 2;
        if (!(Math.abs(z[i]) < 1e8)) return NaN;
      }
      return Math.sqrt(sum / z.length);
    };
    return integrate(velocity, start, times, error, 1e-7);
  }

  /** Run a solver to its end: what `look` makes of the state at each time, and where it stopped. */
  function run(solver, look) {
    const seen = [];
    for (;;) {
      const { value, done } = solver.next();
      if (done) return { seen, stopped: value.stopped };
      if (value) seen.push(look(value[1]));
    }
  }

  // ------------------------------------------------------------------------------ the reach

  /** Series in one scalar, coefficient after coefficient, each a vector of units. */
  const convolved = (a, b, k, out) => {
    for (let j = 0; j <= k; j++) {
      const [left, right] = [a[j], b[k - j]];
      for (let i = 0; i < out.length; i++) out[i] += left[i] * right[i];
    }
    return out;
  };
  /** Coefficient k of the solution of s′ = g h′, from those of g up to k − 1 and of h up to k. */
  const chained = (g, h, k, m) => {
    const out = new Float64Array(m);
    for (let j = 1; j <= k; j++) {
      const [left, right] = [g[k - j], h[j]];
      for (let i = 0; i < m; i++) out[i] += (j / k) * left[i] * right[i];
    }
    return out;
  };

  /** A composer: from coefficient k of h (and all before) those of σ(h) and σ′(h). */
  function composer(name, m) {
    const h = [];
    const [s, d, e, u, v] = [[], [], [], [], []]; // σ, σ′ and what helps
    const zero = (k) => (k === 0 ? 1 : 0);
    const product = (a, b, k) => convolved(a, b, k, new Float64Array(m));
    const rules = {
      tanh(k) { // σ′ = 1 − σ²
        s.push(k === 0 ? h[0].map(Math.tanh) : chained(d, h, k, m));
        d.push(product(s, s, k).map((value) => zero(k) - value));
      },
      softplus(k) { // σ″ = σ′ (1 − σ′)
        s.push(k === 0 ? activated("softplus", h[0], 0)[0] : chained(d, h, k, m));
        d.push(k === 0 ? h[0].map(logistic) : chained(e, h, k, m));
        e.push(product(d, d, k).map((value, i) => d[k][i] - value));
      },
      erf(k) { // σ″ = −2 h σ′
        s.push(k === 0 ? h[0].map(erf) : chained(d, h, k, m));
        d.push(k === 0 ? activated("erf", h[0], 1)[1] : chained(e, h, k, m));
        e.push(product(h, d, k).map((value) => -2 * value));
      },
      sin(k) {
        s.push(k === 0 ? h[0].map(Math.sin) : chained(d, h, k, m));
        d.push(k === 0 ? h[0].map(Math.cos) : chained(e, h, k, m));
        e.push(s[k].map((value) => -value));
      },
      gelu(k) { // h (1 + t) / 2 with t = tanh(u(h))
        u.push(product(h, h, k)); // h²
        const slope = u[k].map((value) => ROOT * (zero(k) + 3 * 0.044715 * value)); // u′(h)
        v.push(slope);
        const t = e;
        const bent = rules.bent ??= []; // t′(h) = (1 − t²) u′(h)
        t.push(k === 0
          ? h[0].map((x) => Math.tanh(ROOT * (x + 0.044715 * x ** 3))) : chained(bent, h, k, m));
        const rest = rules.rest ??= []; // 1 − t²
        rest.push(product(t, t, k).map((value) => zero(k) - value));
        bent.push(product(rest, v, k));
        s.push(product(h, t, k).map((value, i) => 0.5 * (h[k][i] + value)));
        d.push(product(h, bent, k).map((value, i) => 0.5 * (zero(k) + t[k][i] + value)));
      },
    };
    return {
      s, d,
      push(coefficient) {
        h.push(coefficient);
        rules[name](h.length - 1);
      },
    };
  }

  /**
   * Taylor coefficients in z along θ′ = Σ_γ e_γ ∇f_γ(θ), the direction e held: those of every
   * layer's series, per sample. `W2` enters once an order; what training adds to it has rank n k.
   */
  function taylor(net, theta, X, e, orders) {
    const { width: m, dim, depth, activation } = net;
    const n = e.length;
    const { weights, readout } = parts(net, theta);
    const root = Math.sqrt(m);
    const scaled = (values) => values.map((value) => value / root);
    const samples = Array.from({ length: n }, (_, g) => ({
      input: rows(X, dim, g),
      layers: Array.from({ length: depth }, () => ({ units: composer(activation, m), x: [], slope: [], b: [], lambda: [] })),
    }));
    const inputs = gram(X, X, dim);
    const added = (out, factor, values) => {
      for (let i = 0; i < m; i++) out[i] += factor * values[i];
    };
    const scalars = []; // depth 2: ⟨x_γ,i, x_δ,j⟩ and ⟨λ_γ,i, λ_δ,j⟩ are taken where they are used
    for (let k = 0; k < orders; k++) {
      // forward: h^(1) = W^(1) x with W^(1)_k = (1/k) Σ e_γ λ_γ,k−1 x_γᵀ
      samples.forEach(({ input, layers }, s) => {
        const h = k === 0 ? forward(weights[0], input, 1, m, dim) : new Float64Array(m);
        if (k > 0) samples.forEach((field, g) => added(h, (e[g] * inputs[g * n + s]) / k, field.layers[0].lambda[k - 1]));
        layers[0].units.push(h);
      });
      for (let l = 0; l < depth; l++) {
        if (l > 0) {
          const columns = samples.map(({ layers }) => {
            const h = forward(weights[l], layers[l - 1].x[k], 1, m, m);
            for (let j = 1; j <= k; j++) { // W_j x_(k−j)
              for (let i = 0; i < j; i++) {
                samples.forEach((field, g) => {
                  const inner = dot(field.layers[l - 1].x[j - 1 - i], layers[l - 1].x[k - j]);
                  added(h, (e[g] * inner) / j, field.layers[l].lambda[i]);
                });
              }
            }
            return h;
          });
          samples.forEach(({ layers }, s) => layers[l].units.push(columns[s]));
        }
        for (const { layers } of samples) {
          layers[l].x.push(scaled(layers[l].units.s[k]));
          layers[l].slope.push(scaled(layers[l].units.d[k]));
        }
      }
      // backward: a_k = (1/k) Σ e_γ x_γ,k−1
      const a = k === 0 ? readout : new Float64Array(m);
      if (k > 0) samples.forEach(({ layers }, g) => added(a, e[g] / k, layers[depth - 1].x[k - 1]));
      for (const { layers } of samples) layers[depth - 1].b.push(a);
      for (let l = depth - 1; l >= 0; l--) {
        for (const { layers } of samples) {
          layers[l].lambda.push(convolved(layers[l].b, layers[l].slope, k, new Float64Array(m)));
        }
        if (l === 0) continue;
        const columns = samples.map(({ layers }) => {
          const b = backward(weights[l], layers[l].lambda[k], 1, m, m);
          for (let j = 1; j <= k; j++) {
            for (let i = 0; i < j; i++) {
              samples.forEach((field, g) => {
                const inner = dot(field.layers[l].lambda[i], layers[l].lambda[k - j]);
                added(b, (e[g] * inner) / j, field.layers[l - 1].x[j - 1 - i]);
              });
            }
          }
          return b;
        });
        samples.forEach(({ layers }, s) => layers[l - 1].b.push(columns[s]));
      }
    }
    return samples;
  }

  /** max |c_k| of K^(2) = Σ c_k z^k along the held direction, k = 0, .., orders − 1. */
  function kernelTerms(net, theta, X, e, orders) {
    const samples = taylor(net, theta, X, e, orders);
    const { dim, depth } = net;
    const inputs = gram(X, X, dim);
    const inner = (a, b) => Float64Array.from({ length: orders }, (_, k) => {
      let sum = 0;
      for (let j = 0; j <= k; j++) sum += dot(a[j], b[k - j]);
      return sum;
    });
    const terms = new Float64Array(orders);
    samples.forEach((alpha, a) => samples.forEach((beta, b) => {
      if (b > a) return;
      const total = inner(alpha.layers[depth - 1].x, beta.layers[depth - 1].x);
      for (let l = 0; l < depth; l++) {
        const adjoints = inner(alpha.layers[l].lambda, beta.layers[l].lambda);
        const entered = l === 0
          ? Float64Array.from({ length: orders }, (_, k) => (k === 0 ? inputs[a * samples.length + b] : 0))
          : inner(alpha.layers[l - 1].x, beta.layers[l - 1].x);
        for (let k = 0; k < orders; k++) {
          for (let j = 0; j <= k; j++) total[k] += adjoints[j] * entered[k - j];
        }
      }
      total.forEach((value, k) => { terms[k] = Math.max(terms[k], Math.abs(value)); });
    }));
    return terms;
  }

  // How fast the coefficients of a unit's series fall beside ρ^−k: k to the power of minus this.
  // Of a pole for three of them; for the entire ones what comes nearest to nth.reach_of_network.
  const POWERS = { tanh: 2 / 3, gelu: 2 / 3, softplus: 2 / 3, erf: 1 / 3, sin: 1 / 3 };

  /**
   * The action max |∫ (f − y) dt| at which the series in p leaves the network, for its direction e
   * (max |e| = 1). One hidden layer: each unit's own radius, by the root test on its Taylor
   * coefficients, and the smallest counts. Two: the root test on the kernel's first 14 terms.
   */
  function radius(net, theta, X, e) {
    const { readout } = parts(net, theta);
    const guess = largeReadout(net, readout, e.length);
    const force = e.map((value) => (value * guess) / e.length); // so that coefficients neither grow nor vanish
    if (net.depth === 2) {
      const terms = kernelTerms(net, theta, X, force, 15);
      const roots = [13, 14].map((k) => (Math.exp(-2) * terms[0] / terms[k]) ** (1 / k));
      return guess * Math.min(...roots);
    }
    const orders = 60;
    const samples = taylor(net, theta, X, force, orders);
    const which = net.activation === "softplus" ? "d" : "s";
    let largest = -Infinity; // of ln |c_k| + power ln k, per order: minus the logarithm of a radius
    for (const { layers } of samples) {
      for (let i = 0; i < net.width; i++) {
        for (let k = orders - 12; k < orders; k++) {
          const size = Math.abs(layers[0].units[which][k][i]);
          if (size > 0) largest = Math.max(largest, (Math.log(size) + POWERS[net.activation] * Math.log(k)) / k);
        }
      }
    }
    return guess * Math.exp(-largest);
  }

  /** c n √m / max |a|: the action at which a unit of large readout meets its singularity. */
  function largeReadout(net, readout, n) {
    const largest = readout.reduce((most, a) => Math.max(most, Math.abs(a)), 0);
    return (ACTIVATIONS[net.activation].constant * n * Math.sqrt(net.width)) / largest;
  }

  /**
   * The half-width of the strip at p = 4, as an action, by the rule of nthlib: twice the root
   * (e^(−2) t_0 / t_2)^½ of the sizes of K^(2) e and K^(4) e e e / (2 n²), which is what the terms of
   * the series are after an action of one along e, the direction of the first force (max |e| = 1).
   */
  function stripWidth(K, e) {
    const n = e.length;
    const pairs = Float64Array.from({ length: n * n }, (_, at) => e[Math.floor(at / n)] * e[at % n]);
    let [first, second] = [0, 0];
    for (let a = 0; a < n; a++) {
      first = Math.max(first, Math.abs(dot(rows(K[2], n, a), e)));
      let sum = 0;
      for (let b = 0; b < n; b++) sum += e[b] * dot(rows(K[4], n * n, a * n + b), pairs);
      second = Math.max(second, Math.abs(sum) / (2 * n * n));
    }
    return 2 * Math.exp(-1) * Math.sqrt(first / second);
  }

  // ------------------------------------------------------------------------- small algebra

  /** Eigenvalues of a symmetric matrix (n, n) by Jacobi's rotations, and their vectors as rows. */
  function eigen(matrix, n) {
    const A = matrix.slice(0, n * n);
    const vectors = Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
    const turn = (M, x, y, c, s) => { [M[x], M[y]] = [c * M[x] - s * M[y], s * M[x] + c * M[y]]; };
    for (let sweep = 0; sweep < 30; sweep++) {
      let off = 0;
      for (let p = 0; p < n; p++) for (let q = 0; q < p; q++) off += A[p * n + q] ** 2;
      if (!(off > 1e-28 * dot(A, A))) break;
      for (let p = 0; p < n; p++) {
        for (let q = p + 1; q < n; q++) {
          if (A[p * n + q] === 0) continue;
          const tau = (A[q * n + q] - A[p * n + p]) / (2 * A[p * n + q]);
          const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
          const c = 1 / Math.sqrt(1 + t * t);
          const s = t * c;
          for (let i = 0; i < n; i++) turn(A, i * n + p, i * n + q, c, s);
          for (let i = 0; i < n; i++) {
            turn(A, p * n + i, q * n + i, c, s);
            turn(vectors, p * n + i, q * n + i, c, s);
          }
        }
      }
    }
    return { values: Float64Array.from({ length: n }, (_, i) => A[i * n + i]), vectors };
  }

  const eigenvalues = (matrix, n) => eigen(matrix, n).values.sort();

  return {
    ACTIVATIONS: Object.keys(ACTIVATIONS), at: (name) => ACTIVATIONS[name].at, activated, draw, size, parts,
    predictions, states, tangentKernel, kernels, flow, truncated, levelKernel, actionOf, stripWeights, stripWidth,
    radius, largeReadout, kernelTerms, integrate, run, eigen, eigenvalues, rows, dot, gram,
  };
}

if (typeof module !== "undefined") module.exports = nthLaboratoryMathematics;
