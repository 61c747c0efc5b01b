/** What a pool's worker thread loads: the loop of serve.ts around the numeric runner. It holds no code of its own. */
import { createRunner } from "./runner.ts";
import { serve } from "./serve.ts";

await serve(createRunner);
