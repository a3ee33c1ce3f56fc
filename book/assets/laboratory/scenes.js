// The laboratory's scenes: a setting for an idea, a sentence, a question, and what is to be seen.
// tests/book/test_laboratory_numbers.py computes that each shows what it says.
"use strict";

const nthLaboratoryScenes = [
  {
    id: "lazy",
    name: "1 Lazy",
    setting: {
      width: 1024, depth: 1, activation: "tanh", angles: [30, 110], labels: [1, -1],
      size: 1, sigmaA: 1, seed: 3, horizon: 20, input: 0,
    },
    sentence: "A wide network, 1024 units, learns two labels, the diamonds. The dashed lines foretell it from numbers computed before training: p = 2 from its kernel alone, p = 3 and p = 4 also from how that kernel sets out to move.",
    question: "Will they find where the network goes? And how far does a unit move on the way?",
    answer: "All lines lie on each other: an error below 0.003 already at p = 2, whose kernel never moves. The fit is the work of many units that each move little, and the kernel, made of all of them, changes by less than one part in a hundred. This is called lazy training.",
  },
  {
    id: "moves",
    name: "2 The kernel moves",
    setting: {
      width: 16, depth: 1, activation: "tanh", angles: [30, 110], labels: [1, -1],
      size: 2, sigmaA: 1, seed: 3, horizon: 20, input: 0,
    },
    sentence: "The same two points, larger labels, 16 units. Each unit now has to do more.",
    question: "Which number in the heat map changes most? Which dashed line notices, and which cannot?",
    answer: "The kernel changes by about a third. The level p = 2 holds it still and misses by up to 0.3 on the way. The level p = 3 lets it move at the speed it had at the start, and p = 4 also knows how that speed changes: it misses by at most 0.07.",
  },
  {
    id: "turns",
    name: "3 p = 3 turns back",
    setting: {
      width: 16, depth: 1, activation: "tanh", angles: [30, 110], labels: [1, -1],
      size: 2, sigmaA: 1, seed: 2, horizon: 20, input: 0,
    },
    sentence: "Another draw of the same network. Now p = 3 does worse than p = 2.",
    question: "Watch the eigenvalues of the kernels. What happens to p = 3 when one of them turns negative?",
    answer: "At p = 3 the kernel moves along a straight line in what the residuals have pushed so far, and nothing bends it back. Near t = 9 an eigenvalue of its kernel crosses zero. From then on what is wrong pushes the prediction away from its label, which makes it more wrong. In the network the kernel is a matrix of inner products and can never do this. One further kernel, p = 4, bends the line and stays within 0.03.",
  },
  {
    id: "wider",
    name: "4 Wider is later",
    invites: ["width"], // the scene asks for it: its words still hold
    setting: {
      width: 16, depth: 1, activation: "tanh", angles: [20, 65, 110, 155], labels: [1, -1, 1, -1],
      size: 2, sigmaA: 1, seed: 1, horizon: 100, input: 1,
    },
    sentence: "Four labels that alternate are hard to learn, and training takes long. A level that fits early leaves the network in the end.",
    question: "When does p = 4 blow up, and when does the dial fall below 1? Now set the width to 256: when there?",
    answer: "With 16 units the dial falls below 1 at t = 5.4 and p = 4 blows up at t = 19; with 256 units at t = 13 and t = 69. A wider network spreads the same work over more units: each error starts lower, and each level lasts longer. (This one also learns more slowly in the end, which is part of it.) No width here makes it last for all times. Draws scatter, too: look at 32 and 64.",
  },
  {
    id: "far",
    name: "5 Too far: the series leaves",
    setting: {
      width: 16, depth: 1, activation: "tanh", angles: [20, 65, 110, 155], labels: [1, -1, 1, -1],
      size: 3, sigmaA: 1, seed: 8, horizon: 20, input: 1,
    },
    sentence: "Large labels in a narrow network: the levels p = 2, 3, 4 are the beginning of a series, and here it does not converge.",
    question: "Order the levels by their error at t = 2 and again at t = 13. What does the dial say at these times?",
    answer: "At t = 2 each kernel helps: p = 2, 3, 4 are off by 0.05, 0.03, 0.01. At t = 13 the order is reversed, 0.5, 2 and 14, and p = 4 blows up at t = 13.6, while the network goes on calmly. The dial fell below 1 between, after t = 3: the labels have asked for more than the series reaches. The strip sum weighs the same kernels differently. It is off by 0.3 at t = 13, less than p = 2, and does not blow up.",
  },
];

if (typeof module !== "undefined") module.exports = nthLaboratoryScenes;
