import "./config.ts"
import type {} from "./tables.ts"

export {
  type CachedImage,
  cacheImage,
  cacheImagesOnHosts,
  clearCache,
  showCache,
  uncacheImage,
} from "./cache/cache.ts"
export { noteCacheHosts } from "./cache/hosts.ts"
export { cleanCache, pruneCache, showCacheNodes } from "./cache/tidy.ts"
export { imageStoreDirectories, imagesWithData } from "./data/backup-index.ts"
export { downloadImage, type ImageData } from "./data/download.ts"
export {
  discardLostFile,
  type LostFile,
  listLostFiles,
  listMissingFiles,
  type MissingFile,
} from "./data/lost-files.ts"
export { byWeight, openImageData, readImageData } from "./data/read.ts"
export { type ImageStore, mainStoreId } from "./data/stores.ts"
export { stageImage, uploadImage } from "./data/upload.ts"
export * from "./faults.ts"
export { deactivateImage, reactivateImage } from "./image/activate.ts"
export { isFreeProperty } from "./image/attributes.ts"
export { addImage } from "./image/create.ts"
export { deleteImage } from "./image/delete.ts"
export {
  containerFormats,
  diskFormats,
  hiddenProperties,
  type Image,
  imageNoun,
  imageStatuses,
  type Place,
  type Visibility,
  visibilities,
} from "./image/image.ts"
export type { ImageKeys } from "./image/keys.ts"
export {
  getImage,
  type ImageFilter,
  type ImageListInput,
  type ImagePage,
  imageSortKeys,
  imagesNamed,
  listImages,
} from "./image/read.ts"
export { addImageTag, type ImageChange, removeImageTag, updateImage } from "./image/update.ts"
export { type ImportMethod, importImage, importMethods } from "./import/import.ts"
export {
  type BootableImage,
  createImageRecord,
  discardImage,
  findBootableImage,
  hasImageData,
  type ImageRecord,
  storeImageFile,
  storeImageStream,
} from "./local/boot.ts"
export { listStores, removeFromStore, type StoreFacts, showImageUsage, showStores } from "./local/info.ts"
export { type LocalImage, registerLocalImage } from "./local/register.ts"
export { checkImageTicket, type ImageTicket, imageTicket } from "./local/ticket.ts"
export { addLocation, listLocations } from "./location/add.ts"
export { addressOf, changeLocations, type LocationChange } from "./location/update.ts"
export {
  addImageMember,
  getImageMember,
  listImageMembers,
  type Member,
  removeImageMember,
  updateImageMember,
} from "./member/member.ts"
export {
  type Item,
  metadefObjects,
  metadefProperties,
  metadefTags,
  setMetadefTags,
} from "./metadef-item/item.ts"
export { createNamespace } from "./metadef-namespace/create.ts"
export { deleteNamespace } from "./metadef-namespace/delete.ts"
export { type Namespace, namespaceNoun } from "./metadef-namespace/namespace.ts"
export {
  getNamespace,
  type ListedNamespace,
  listNamespaces,
  type NamespaceDetail,
} from "./metadef-namespace/read.ts"
export { updateNamespace } from "./metadef-namespace/update.ts"
export {
  type Association,
  addAssociation,
  listAssociations,
  removeAssociation,
} from "./metadef-resource-type/association.ts"
export { listResourceTypes } from "./metadef-resource-type/resource-type.ts"
export { createImportTask } from "./task/create.ts"
export { getTask, listImageTasks, listTasks } from "./task/read.ts"
export { type Task, taskNoun, taskStatuses } from "./task/task.ts"
