// What the door answers a host beside joining. Belongs to the composition root, as no service knows the others'
// insides.
import type { IncomingMessage, ServerResponse } from "node:http"
import {
  type ControlShare,
  doorHeaders,
  doorPaths,
  type HostSettings,
  type TpmKeyAnswer,
} from "./agent/door-protocol.ts"
import type { VolumeKey } from "./agent/volumes/volume-keys.ts"
import { openVolumeConnection, openVolumeKey } from "./block-storage/index.ts"
import { answerMetadataRequest, openTpmKey } from "./compute/index.ts"
import { sendBackupData, takeBackupChunk, takeBackupIndex } from "./door-backups.ts"
import { sendImage, takeImage } from "./door-images.ts"
import { type DoorAnswer, headerOf, sendJson } from "./host/index.ts"
import type { Platform } from "./platform/context/context.ts"

/** What only a control host is answered. */
export function controlAnswers(share: () => Promise<ControlShare>): Record<string, DoorAnswer> {
  return {
    [`GET ${doorPaths.control}`]: async (_host, _request, response) => sendJson(response, await share()),
  }
}

export function doorAnswers(
  platform: Platform,
  settings: () => Promise<HostSettings>,
): Record<string, DoorAnswer> {
  const metadata: DoorAnswer = (host, request, response) => answerMetadata(platform, host, request, response)
  return {
    [`GET ${doorPaths.settings}`]: async (_host, _request, response) => sendJson(response, await settings()),
    [`GET ${doorPaths.images}`]: (host, request, response) => sendImage(platform, host, request, response),
    [`PUT ${doorPaths.images}`]: (host, request, response) => takeImage(platform, host, request, response),
    [`GET ${doorPaths.backups}`]: (...asked) => sendBackupData(platform, ...asked),
    [`POST ${doorPaths.backups}`]: (...asked) => takeBackupIndex(platform, ...asked),
    [`PUT ${doorPaths.backups}`]: (...asked) => takeBackupChunk(platform, ...asked),
    [`GET ${doorPaths.volumeKeys}`]: async (host, request, response) => {
      const volumeId = (request.url ?? "").slice(doorPaths.volumeKeys.length + 1)
      sendJson(response, (await openVolumeKey(platform, { host, volumeId })) satisfies VolumeKey)
    },
    [`GET ${doorPaths.tpmKeys}`]: async (host, request, response) => {
      const serverId = (request.url ?? "").slice(doorPaths.tpmKeys.length + 1)
      sendJson(response, { key: await openTpmKey(platform, { host, serverId }) } satisfies TpmKeyAnswer)
    },
    [`GET ${doorPaths.volumeConnections}`]: async (host, request, response) => {
      const volumeId = (request.url ?? "").slice(doorPaths.volumeConnections.length + 1)
      sendJson(response, await openVolumeConnection(platform, { host, volumeId }))
    },
    [`GET ${doorPaths.metadata}`]: metadata,
    [`POST ${doorPaths.metadata}`]: metadata,
  }
}

async function answerMetadata(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://metadata")
  const { status, contentType, body } = await answerMetadataRequest(platform, {
    host,
    networkId: headerOf(request, doorHeaders.network),
    address: headerOf(request, doorHeaders.guest),
    method: request.method ?? "GET",
    path: url.pathname.slice(doorPaths.metadata.length) || "/",
    body: request,
  })
  // The door's own statuses are about the host; those of the guest's request travel beside.
  response.writeHead(200, {
    "content-type": contentType,
    "content-length": body.length,
    [doorHeaders.status]: String(status),
  })
  response.end(body)
}
