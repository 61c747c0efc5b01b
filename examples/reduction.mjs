// A reduction of your own: node examples/reduction.mjs
import { chain, createEngine, mean } from "fourfold";
import { geometricMean } from "./geometric-mean.mjs";

// Yearly growth factors of four funds over three years, in two portfolios.
const growth = [1.05, 0.98, 1.12, 1.01, 1.02, 1.03, 1.3, 0.7, 1.1, 1.04, 1.04, 1.04];

const engine = await createEngine({ workers: 2 });
try {
  // A fund's growth is the geometric mean of its years; a portfolio is the mean of its funds.
  const result = await engine.run(chain({ fund: geometricMean(), portfolio: mean() }), { data: growth, shape: [2, 2, 3] }, { keep: "all" });
  for (const fund of result.level("fund")) console.log(`fund ${fund.path.join(".")}: ${fund.value.toFixed(6)}`);
  for (const portfolio of result.level("portfolio")) console.log(`portfolio ${portfolio.key}: ${portfolio.value.toFixed(6)}`);

  // It names its module, so a large tensor in engine memory is reduced by the workers.
  const many = engine.tensor([2, 150, 10_000], "f64");
  for (let i = 0; i < many.data.length; i++) many.data[i] = 1 + (i % 7) / 100;
  const large = await engine.run(chain(geometricMean(), mean(), mean()), many);
  console.log(`${large.records} factors, reduced by the ${large.plan.phases[0].where}: ${large.value.toFixed(6)}`);
} finally {
  await engine.close();
}

// Prints:
// fund 0.0: 1.048442
// fund 0.1: 1.019967
// fund 1.0: 1.000333
// fund 1.1: 1.040000
// portfolio 0: 1.034205
// portfolio 1: 1.020167
// 3000000 factors, reduced by the workers: 1.029806
