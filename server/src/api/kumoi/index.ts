// Kumoi's own pages: health, metrics, consoles, and the dashboard's address (a landing page for now).
import { type Api, route, withHeaders } from "../../platform/http/wire.ts"
import { consolePages } from "./console-pages.ts"
import { landingPage } from "./landing-page.ts"
import { metricsRoute } from "./metrics.ts"

export const kumoiApi: Api = {
  service: "kumoi",
  mounts: [""],
  version: "",
  routes: [
    route({ method: "GET", path: "/healthz", policy: "public", handler: async () => ({ status: "ok" }) }),
    metricsRoute,
    ...consolePages,
    route({
      method: "GET",
      path: "/dashboard",
      policy: "public",
      handler: async (ctx) =>
        withHeaders(landingPage({ baseUrl: ctx.baseUrl, region: ctx.config.region }), {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        }),
    }),
  ],
  renderFault: (fault) => ({
    status: fault.kind === "not_found" ? 404 : fault.kind === "forbidden" ? 403 : 500,
    body: { error: { message: fault.message } },
  }),
}
