// A proxy, once called middleware, stands before the route.
import { sell } from "./guarded.mjs";

await sell("proxy");
