// What the laboratory computes beside the page: a message with a setting comes in, and the run
// goes out in pieces: the start, all networks, the levels, the network time after time, the reach.
// Where it is asked for, all networks of one hidden layer follow to order 1/m.
"use strict";

function nthLaboratoryWorker(lab) {
  const onCircle = (angles) => Float64Array.from(angles.flatMap((degrees) => {
    const angle = (degrees * Math.PI) / 180;
    return [Math.cos(angle), Math.sin(angle)];
  }));

  /** Numbers on a circle, and between each two of them what a cubic through four says. */
  const denser = (values) => values.flatMap((value, k) => {
    const near = (step) => values[(k + step + values.length) % values.length];
    return [value, (9 * (value + near(1)) - near(-1) - near(2)) / 16];
  });

  /** Corrections of mean and variance at the inputs and on the circle; `share`: of the mean at infinite width. */
  function ofDraws({ setting, times, circle }, limit) {
    const X = onCircle(setting.angles);
    const y = Float64Array.from(setting.labels, (label) => label * setting.size);
    const n = y.length;
    const around = circle.filter((degrees, k) => k % 2 === 0 && degrees < 360).map((degrees) =>
      lab.corrections(setting.activation, setting.sigmaA ** 2, Float64Array.from([...X, ...onCircle([degrees])]), y, times));
    return limit.map(({ mean }, k) => {
      const everywhere = (pick) => {
        const circled = denser(around.map((frames) => pick(frames[k])[n]));
        return [...pick(around[0][k]).slice(0, n), ...circled, circled[0]];
      };
      const size = Math.hypot(...mean);
      const parts = [0, 1, 2].map((part) => Math.hypot(...everywhere(({ parts: all }) => all[part])));
      return {
        mean: everywhere((frame) => frame.mean), variance: everywhere((frame) => frame.variance),
        share: size > 0 ? (parts[0] + parts[1] + parts[2]) / size : 0,
      };
    });
  }

  let last_ = null; // what was asked, and what it was answered for all networks

  self.onmessage = ({ data }) => {
    if (data.draws) {
      self.postMessage({ kind: "draws", job: data.job, frames: ofDraws(...last_) });
      return;
    }
    const began = performance.now();
    const { setting, times, circle } = data;
    const net = { width: setting.width, depth: setting.depth, dim: 2, activation: setting.activation };
    const X = onCircle(setting.angles);
    const test = onCircle(circle);
    const everywhere = Float64Array.from([...X, ...test]);
    const y = Float64Array.from(setting.labels, (label) => label * setting.size);
    const n = y.length;
    const theta = lab.draw({ ...net, sigmaA: setting.sigmaA, seed: setting.seed });
    const send = (kind, message = {}) => self.postMessage({ kind, job: data.job, ...message });
    const firstLayer = (z) => Float32Array.from(z.subarray(0, 2 * net.width));
    send("start", { f: lab.predictions(net, theta, everywhere), units: firstLayer(theta) });

    const limit = lab.limit(net, setting.sigmaA, X, y, test, times);
    last_ = [data, limit];
    send("limit", { frames: limit });

    const K = lab.kernels(net, theta, X, test);
    const residual = Array.from(y, (label, g) => label - K[1][g]);
    const largest = Math.max(...residual.map(Math.abs)) || 1;
    const halfWidth = lab.stripWidth(K, residual.map((value) => value / largest));
    for (const [name, level, strip] of [["2", 2], ["3", 3], ["4", 4], ["strip", 4, halfWidth]]) {
      const settings = { halfWidth: strip ?? null };
      const { seen, stopped } = lab.run(lab.truncated(K, y, times, level, settings), (z) => ({
        f: Float32Array.from(z.subarray(0, K.N)),
        spectrum: lab.eigenvalues(lab.levelKernel(K, level, z, settings.halfWidth), n),
      }));
      send("level", { name, frames: seen, stopped });
    }

    let action = new Float64Array(n);
    const actions = [0];
    let last = null;
    const flow = lab.flow(net, theta, X, y, times);
    for (;;) {
      const { value, done } = flow.next();
      if (done) break;
      if (!value) continue;
      const [index, z] = value;
      const pass = lab.states(net, z, X);
      const kernel = lab.tangentKernel(pass, pass);
      if (last) {
        action = action.map((sum, g) =>
          sum + ((times[index] - times[index - 1]) * (pass.f[g] - y[g] + last[g] - y[g])) / 2);
        actions.push(Math.max(actions[index - 1], ...action.map(Math.abs)));
      }
      last = pass.f;
      send("frame", {
        index, f: lab.predictions(net, z, everywhere), kernel,
        spectrum: lab.eigenvalues(kernel, n), units: firstLayer(z),
      });
    }
    const end = Math.max(...action.map(Math.abs)) || 1;
    const radius = lab.radius(net, theta, X, Array.from(action, (sum) => sum / end));
    send("done", {
      reach: actions.map((spent) => (spent > 0 ? radius / spent : Infinity)),
      seconds: (performance.now() - began) / 1000,
    });
  };
}

if (typeof module !== "undefined") module.exports = nthLaboratoryWorker;
