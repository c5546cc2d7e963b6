const named = {
  type: "object",
  properties: { id: { type: "string" }, name: { type: "string" } },
  anyOf: [{ required: ["id"] }, { required: ["name"] }],
}

const place = {
  type: "object",
  properties: { id: { type: "string" }, name: { type: "string" }, domain: named },
  anyOf: [{ required: ["id"] }, { required: ["name"] }],
}

/** Payloads of methods are looked at by the methods themselves: which are known is not this wire's to say. */
export const authRequest = {
  type: "object",
  properties: {
    auth: {
      type: "object",
      properties: {
        identity: {
          type: "object",
          properties: { methods: { type: "array", items: { type: "string" } } },
          required: ["methods"],
        },
        scope: {
          type: ["object", "string"],
          properties: {
            project: place,
            domain: named,
            system: { type: "object", properties: { all: { type: "boolean" } } },
            "OS-TRUST:trust": { type: "object", properties: { id: { type: "string" } }, required: ["id"] },
          },
        },
      },
      required: ["identity"],
    },
  },
  required: ["auth"],
}
