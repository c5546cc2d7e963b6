// The status of a success is said once: by the route, else by its method. The reply, the document of the API and the
// tests take it from here.
import type { Api, HttpMethod, Route } from "./wire.ts"

const usual: Readonly<Record<HttpMethod, number>> = {
  GET: 200,
  HEAD: 200,
  OPTIONS: 200,
  PUT: 200,
  PATCH: 200,
  POST: 201,
  COPY: 201,
  DELETE: 204,
}

/** All that the route may answer when all is well. The first is meant where the handler says none. */
export function statusesOf(
  { statuses }: Pick<Api, "statuses">,
  { method, status }: Pick<Route, "method" | "status">,
): readonly [number, ...number[]] {
  if (status === undefined) return [statuses?.[method] ?? usual[method]]
  return typeof status === "number" ? [status] : status
}
