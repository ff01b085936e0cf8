// The route's own handler is wrapped.
import { sell } from "./guarded.mjs";

await sell("handler");
