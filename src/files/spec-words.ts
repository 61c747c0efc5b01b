/** A spec in words, one line for each part: what `fourfold explain` says of it. */
import { show } from "../errors.ts";
import type { SpecContent } from "./spec.ts";
import type { CsvOptions } from "./spec-csv.ts";
import type { SpecParents, SpecPath, SpecSource } from "./spec-source.ts";
import type { SpecWeights } from "./spec-weights.ts";

/** Source, value and levels, in lines; the levels, innermost first, are the last ones. */
export function describeSpec(spec: SpecContent): string[] {
  const int64 = {
    exact: [],
    number: ["integers beyond 2^53 become the nearest float64"],
    reject: ["64-bit integers are refused as values and weights"],
  }[spec.int64];
  return [
    `source: ${inWords(spec.source)}`,
    ...partsInWords(spec.source),
    `value: ${spec.value}`,
    ...int64,
    ...spec.levels.map((level) => {
      const ddof = level.ddof === undefined ? "" : `, ddof ${level.ddof}`;
      const weights = level.weights === undefined ? "" : `, ${weightsInWords(level.weights)}`;
      return `level ${level.name}: ${level.reduce}${ddof} by ${level.by.length === 0 ? "nothing (one node)" : level.by.join(", ")}${weights}`;
    }),
  ];
}

function inWords(source: SpecSource): string {
  if ("sql" in source) return oneLine(source.sql);
  const files = typeof source.file === "string" ? [source.file] : source.file;
  const shown = files.slice(0, 3).join(", ");
  const hive = source.hivePartitions === undefined ? "" : source.hivePartitions ? ", hive partitions" : ", no hive partitions";
  const csv = source.csv === undefined ? "" : `, ${csvInWords(source.csv)}`;
  return `${source.format} ${shown}${files.length > 3 ? `, … (${files.length} files)` : ""}${csv}${hive}`;
}

function csvInWords({ columns, nullText, header, ...marks }: CsvOptions): string {
  return [
    ...Object.entries(marks).map(([name, mark]) => `${name} ${JSON.stringify(mark)}`),
    ...(header === undefined ? [] : [header ? "a header" : "no header"]),
    ...(nullText === undefined ? [] : [`null is ${nullText.map((text) => JSON.stringify(text)).join(" or ")}`]),
    ...(columns === undefined
      ? []
      : [
          Object.entries(columns)
            .map(([name, type]) => `${name} ${type}`)
            .join(" "),
        ]),
  ].join(", ");
}

/** What is kept and added, one line each. */
function partsInWords({ where, path, parents }: SpecSource): string[] {
  return [
    ...(where === undefined ? [] : [`where: ${oneLine(where)}`]),
    ...(path === undefined ? [] : [`path: ${pathInWords(path)}`]),
    ...(parents === undefined ? [] : [`parents: ${parentsInWords(parents)}`]),
  ];
}

const SHORT = { error: "a shorter one is an error", repeat: "a shorter one repeats its last part", null: "a shorter one ends in nulls" };

function pathInWords({ column, separator, names, short }: SpecPath): string {
  return `${names.join(", ")} from column ${show(column)}, parted by ${JSON.stringify(separator)}; ${SHORT[short]}`;
}

function parentsInWords({ key, table, child, parent, names, short }: SpecParents): string {
  return `${names.join(", ")} are the ancestors of ${show(key)} by ${show(child)} and ${show(parent)} of ${[inWords(table), ...partsInWords(table)].join(", ")}; ${SHORT[short].replace("part", "ancestor")}`;
}

function weightsInWords(weights: SpecWeights): string {
  if (weights === "count") return "weighted by the records below each child";
  if (!("column" in weights || "table" in weights)) return `weighted by a list of ${weights.length}`;
  const { missing: given } = weights;
  const missing = given === undefined ? "" : given === "error" ? ", an error where it is missing" : `, ${given} where it is missing`;
  if ("table" in weights)
    return `weighted by ${show(weights.value)} of ${[inWords(weights.table), ...partsInWords(weights.table)].join(", ")}${missing}`;
  return weights.expression === undefined
    ? `weighted by column ${show(weights.column)}${missing}`
    : `weighted by ${oneLine(weights.expression)}${missing}`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();
