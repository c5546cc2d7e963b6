// Uploads that are refused in the middle: what the client hears, and what stays of them.
import assert from "node:assert/strict"
import { readdir } from "node:fs/promises"
import { request as httpRequest } from "node:http"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { imageService } from "../src/image/service.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
before(async () => {
  cloud = await startServices({
    services: [imageService],
    // More than any disk has free.
    overrides: { "image.reserveBytes": 2 ** 52 },
  })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

/** Sends all before it listens, as the stock client does. Resolves when both are done. */
async function upload(path: string, sizeBytes: number): Promise<{ status: number; text: string }> {
  const request = httpRequest(`${cloud.baseUrl}${path}`, {
    method: "PUT",
    headers: { "x-auth-token": "p1", "content-type": "application/octet-stream" },
  })
  const answered = new Promise<{ status: number; text: string }>((done, fail) => {
    request.once("error", fail)
    request.once("response", async (response) => {
      let text = ""
      for await (const chunk of response) text += chunk
      done({ status: response.statusCode ?? 0, text })
    })
  })
  const sent = new Promise((done) => request.once("finish", done))
  request.end(Buffer.alloc(sizeBytes))
  const [answer] = await Promise.all([answered, sent])
  return answer
}

test("a full store takes the rest of the upload, answers 413, and keeps nothing", async () => {
  const attributes = { name: "i", disk_format: "raw", container_format: "bare" }
  const { body } = await cloud.request("POST", "/image/v2/images", { as: "p1", body: attributes })
  const { status, text } = await upload(`/image/v2/images/${body.id}/file`, 64 * 1024 * 1024)
  assert.equal(status, 413)
  assert.match(text, /Image storage media is full/)
  const image = await cloud.request("GET", `/image/v2/images/${body.id}`, { as: "p1" })
  assert.equal(image.body.status, "queued")
  const dir = join(cloud.platform.config.dataDir, "image")
  for (const name of ["store", "tmp", "staging"]) assert.deepEqual(await readdir(join(dir, name)), [])
})

test("an upload that stands still ends; the image is queued and no file stays", async () => {
  await using hasty = await startServices({
    services: [imageService],
    overrides: { "http.streamIdleMs": 300 },
  })
  const body = { name: "i", disk_format: "raw", container_format: "bare" }
  const { id } = (await hasty.request("POST", "/image/v2/images", { as: "p1", body })).body
  const request = httpRequest(`${hasty.baseUrl}/image/v2/images/${id}/file`, {
    method: "PUT",
    headers: { "x-auth-token": "p1", "content-type": "application/octet-stream", "content-length": "1000" },
  })
  const ended = new Promise((done) => request.once("error", done).once("response", done))
  request.write("some")
  await ended
  await eventually("the image to be queued", async () => {
    const image = (await hasty.request("GET", `/image/v2/images/${id}`, { as: "p1" })).body
    return image.status === "queued"
  })
  await eventually("no file", async () => {
    return (await readdir(join(hasty.platform.config.dataDir, "image/tmp"))).length === 0
  })
})
