/** The help texts. Plain text, so that help loads nothing. */

/** The commands, in the order help lists them. */
export const COMMANDS = ["run", "stream", "explain", "inspect", "doctor", "setup"] as const;

/** A command of `fourfold`. */
export type Command = (typeof COMMANDS)[number];

/** True if `name` is a command. */
export function isCommand(name: string): name is Command {
  return (COMMANDS as readonly string[]).includes(name);
}

/** What `fourfold --help` prints. */
export function generalHelp(version: string): string {
  return `fourfold ${version}: rolls numbers up through weighted hierarchies, with the same bits every time

Usage: fourfold COMMAND [ARGUMENTS]

Commands:
  run SPEC              roll up the table that a spec names
  run X.npy             roll up a tensor: NPY, NPZ, Arrow, Zarr or raw
  stream SPEC           roll up records while they come
  explain SPEC|X.npy    say what a run would do, in five steps
  inspect RESULT        open a result: what each child gives to a node, and why a node changed
  doctor                say what works on this machine, and how to get what does not
  setup tensorflow      get the native TensorFlow library
  setup webgpu          get what runs tensor operations on a GPU

Options:
  -h, --help            this text; fourfold COMMAND --help tells more
  -V, --version         the version

Examples:
  fourfold run flights.json
  fourfold run flights.json --keep all --out nodes.parquet
  fourfold run --weights a.npy,b.npy x.npy
  fourfold stream readings.json < readings.ndjson

Exit codes: 0 it worked · 1 the run failed · 2 the command line or the spec is wrong
            70 a bug in Fourfold · 130 interrupted · 143 terminated
`;
}

const HELP: Readonly<Record<Command, string>> = {
  run: `Usage: fourfold run SPEC [OPTIONS]
       fourfold run [--weights W.npy,…] [--reduce NAME,…] X.npy [OPTIONS]

Rolls up the table that a spec names, or a tensor at rest, which may be larger than memory.

Output:
  --format FORMAT       table (for people), parquet, arrow, csv, ndjson, json, npy (the values of one level) or npz;
                        without it the ending of --out says which, and otherwise it is the table
  --keep LEVELS         also give the nodes of these levels: all, or names with commas between
  --out FILE            write there instead of to stdout, all of it or nothing
  --best END            table: which end is best, lowest or highest; without it neither is

How it runs:
  --accuracy ACCURACY   reproducible (the default), exact or fast
  --backend NAME        auto (the default), or the name of a backend; fourfold doctor lists them
  --nan POLICY          propagate, skip or error; it replaces the spec's own
  --workers N           worker threads; by default one for each core, 0 for none
  --allow-path PATH     let the spec read below this folder, too, or this file; may be repeated
  --memory BYTES        the most memory that reading a table may take; a larger table goes to disk in parts
  --spill WHEN          keep a table on disk while it is rolled up: auto (the default: if it is larger than its share
                        of the memory), always or never
  --spill-dir DIR       the folder for that; by default the system's for temporary files
  --spill-bytes-max BYTES
                        the most that may be written there, 64 GiB without it
  --job DIR             keep there what is finished: the same command goes on after a crash, with the same bytes
  --fresh               start that job over
  --verbose             tell the steps and their times; with an error, its stack and cause

Files of others (for specs):
  --untrusted           read them in a process of their own, with limits on time and memory from their bytes
  --deadline-ms N       with it: how long reading may take; by default 30 s and 1 s for each MiB
  --check               check sizes and checksums of Parquet and .gz files first; --untrusted does so, too
  --on-error ACTION     rows of CSV and NDJSON that cannot be converted, integers beyond 2^53, and damaged files
                        among several: stop (the default), skip, or quarantine
  --quarantine FILE     append them there, one JSON object a line, with place, reason and text

Tensors (NPY, NPZ, Arrow, Zarr or raw, of the shape [...frames, …, B, A]; the last axis is reduced first):
  --weights FILES       NPY files with the weights of the weighted levels, innermost first;
                        one dimension is a vector, two are a matrix (one row for each output)
  --reduce NAMES        the reductions, innermost first; by default weightedSum for each file of weights.
                        sum, mean, min, max, count, variance, weightedSum, weightedMean
  --array NAME          the array of an NPZ file or a Zarr folder that has several
  --column NAME         the column of an Arrow file that has several; its lists are ragged levels
  --shape N,N,…         raw files: the extents, outermost first …
  --dtype DTYPE         … and the type of an item: f64, f32, i64, i32, i16, i8, u32, u16, u8, f16 or bool
  --int64 POLICY        integers beyond 2^53: exact (the default: an error), number (the nearest float64) or reject

Examples:
  fourfold run flights.json --best lowest
  fourfold run flights.json --keep state,airport --format ndjson | head
  fourfold run flights.json --keep all --out nodes.parquet
  fourfold run year.json --job night --keep all --out nodes.csv
  fourfold run --weights a.npy,b.npy,c.npy,d.npy x.npy
  fourfold run --weights a.npy --reduce weightedSum,mean,max x.npy
  fourfold run --reduce sum,mean --shape 1000,64 --dtype f32 readings.bin
`,
  stream: `Usage: fourfold stream SPEC [OPTIONS] < RECORDS

Rolls up records while they come, by the levels and windows of a spec. They are read from stdin unless told otherwise.
On a terminal the newest result is shown; elsewhere each result is written as soon as it is there.

Where records come from:
  --input FORMAT        ndjson, csv or arrow (an Arrow IPC stream); by default what the ending of a file or the
                        content type of a request says, and ndjson elsewhere
  --file PATH           a file
  --tail PATH           a file that grows, followed until the stream is ended
  --listen URL          tcp://127.0.0.1:PORT or http://127.0.0.1:PORT; other addresses need TLS and a token
  --tls-key, --tls-cert files in PEM
  --token-file FILE     holds the token that senders must give; or the variable FOURFOLD_STREAM_TOKEN
  --replay SPEED        the spec's own source in order of its event time: so many times faster than the
                        records came, or max

Where results go:
  --format FORMAT       table (for people, the default on a terminal), ndjson (elsewhere) or csv
  --out FILE            append them to a file
  --parquet DIR         write them as Parquet files to a folder
  --keep LEVELS         also write the nodes of these levels: all, or names with commas between
  --top N               table: how many nodes are listed, 10 without it
  --best END            table: which of them come first, highest (the default) or lowest
  --rejected FILE       append records that cannot be read or taken, with position and reason
  --late FILE           append records that came after their window had closed
  --metrics PORT        serve counts for Prometheus at http://127.0.0.1:PORT/metrics

How it runs:
  --checkpoint DIR      keep there what is needed to go on after a crash
  --checkpoint-every-ms N
                        how often, every 1000 without it
  --on-error ACTION     what a record does that cannot be read: continue (the default) or stop
  --overflow POLICY     what happens when the queue is full: block (the default), latest or error
  --rows-max, --bytes-max, --delay-ms-max, --latency-target-ms, --batches-max
                        limits on batches, and the latency that their size follows
  --queue-rows-max, --queue-bytes-max
                        limits on what may wait
  --accuracy ACCURACY   reproducible (the default) or exact
  --nan POLICY          propagate, skip or error; it replaces the spec's own
  --workers N           worker threads
  --allow-path PATH     let the spec read below this folder, too, or this file; may be repeated
  --verbose             tell the counts at the end; with an error, its stack and cause

Examples:
  fourfold stream readings.json < readings.ndjson
  fourfold stream readings.json --tail readings.csv --out totals.ndjson --checkpoint state
  fourfold stream flights-live.json --replay 260000
`,
  explain: `Usage: fourfold explain SPEC [OPTIONS]
       fourfold explain [--weights W.npy,…] [--reduce NAME,…] X.npy [OPTIONS]

Says what fourfold run would do, under five headings: init, distribute, process, aggregate, output.
It reads the spec, or the headers of the NPY files and the weights, and no data.

Options:
  --keep, --accuracy, --backend, --nan, --workers, --allow-path, --memory, --spill, --spill-dir, --spill-bytes-max,
  --weights, --reduce, --untrusted, --deadline-ms, --check, --on-error, --quarantine, --verbose
                        as for fourfold run

Examples:
  fourfold explain flights.json
  fourfold explain --weights a.npy,b.npy x.npy
`,
  inspect: `Usage: fourfold inspect RESULT [--path PATH] [OPTIONS]
       fourfold inspect RESULT --diff OTHER [--path PATH] [OPTIONS]

Opens a result that fourfold run wrote with --keep all, as Parquet or JSON: the children of a node with their values and
weights, and what each of them gives to the node's value. Contributions and one residual add up to the value exactly.

Where to look:
  --path PATH           a node by its keys: TX/DFW. The name of the outermost level may stand before: nation/TX/DFW.
                        Without it the outermost node
  --separator TEXT      what stands between the keys of a path, / without it
  --key KEY             the keys one by one, as they are, instead of a path; may be repeated
  --level NAME          the level, if several have as many keys; alone it lists the nodes of a level
  --output N            which output, of a chain that has several; 0 without it

What to show:
  --top N               the N children that give most, and the others as one line; all for all of them.
                        A table has 20 without it, the other formats all
  --diff OTHER          why the node is not what it was in OTHER, an earlier result: which nodes moved it, by
                        their values and by their weights
  --format FORMAT       table (for people, the default), json or csv
  --out FILE            write there instead of to stdout, all of it or nothing
  --verbose             with an error, its stack and cause

Examples:
  fourfold run flights.json --keep all --format json --out flights.result.json
  fourfold inspect flights.result.json --path nation/TX/DFW --top 5
  fourfold inspect today.parquet --diff yesterday.parquet --top 10
`,
  doctor: `Usage: fourfold doctor [--json] [--calibrate]

Says what works on this machine: Node, cores, memory, SIMD, threads and each backend, and for what is
absent the command that installs it. Ends with 1 if the wasm backend does not work.

Options:
  --json                the same as JSON
  --calibrate           also measure the devices that backend "auto" may choose, and store their rates for later runs

Examples:
  fourfold doctor
  fourfold doctor --json
  fourfold doctor --calibrate
`,
  setup: `Usage: fourfold setup tensorflow [OPTIONS]
       fourfold setup webgpu [OPTIONS]

tensorflow: gets the native TensorFlow library for the backend "tensorflow", and proves by computing that it works:
installs @tensorflow/tfjs-node without its own installer and without changing package.json, compiles its binding
(g++ or clang++), and takes the library from the first source that has one. What is fetched or compiled is kept in
the user's cache: the next set-up fetches nothing but the package, if that.

webgpu: installs the packages of the backend "webgpu" in the same way (Dawn, 51 MB, and TensorFlow.js's WebGPU
backend), asks for a GPU adapter, names what the system lacks for one, and proves by computing that it works.

Options:
  --source NAME         tensorflow: only this source. In the order they are tried: cache (an earlier set-up), official
                        (tfjs-node's own installer), python (an installed TensorFlow), pip, maven
  --from PATH           tensorflow: take the library from a wheel of tensorflow or tensorflow-cpu, 2.12 to 2.16, from
                        a Java archive, or from a folder that holds it
  --dry-run             say what would be done, and do nothing
  --verbose             with an error, its stack and cause

Examples:
  fourfold setup webgpu
  fourfold setup tensorflow
  fourfold setup tensorflow --source pip
  fourfold setup tensorflow --from tensorflow_cpu-2.15.1-cp311-cp311-manylinux_2_17_x86_64.whl
`,
};

/** What `fourfold COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  return HELP[command];
}
