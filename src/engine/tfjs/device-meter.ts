/**
 * Counts what is asked of one GPUDevice (dispatches, submits, buffers made) by replacing methods on that object and on the
 * encoders it makes; the global prototypes stay as they are. It also knows the command encoder in use, so that copies for
 * reading back can join the commands tfjs has recorded.
 */
export class DeviceMeter {
  dispatches = 0
  submits = 0
  buffers_created = 0
  /** The encoder made last; only valid between its making and the next submit. */
  encoder: GPUCommandEncoder | null = null

  constructor(device: GPUDevice) {
    const createBuffer = device.createBuffer.bind(device)
    device.createBuffer = (descriptor) => {
      this.buffers_created++
      return createBuffer(descriptor)
    }
    const submit = device.queue.submit.bind(device.queue)
    device.queue.submit = (commandBuffers) => {
      this.submits++
      this.encoder = null
      submit(commandBuffers)
    }
    const createCommandEncoder = device.createCommandEncoder.bind(device)
    device.createCommandEncoder = (descriptor) => (this.encoder = this.#metered(createCommandEncoder(descriptor)))
  }

  #metered(encoder: GPUCommandEncoder): GPUCommandEncoder {
    const beginComputePass = encoder.beginComputePass.bind(encoder)
    encoder.beginComputePass = (descriptor) => {
      const pass = beginComputePass(descriptor)
      const dispatchWorkgroups = pass.dispatchWorkgroups.bind(pass)
      pass.dispatchWorkgroups = (x, y, z) => {
        this.dispatches++
        dispatchWorkgroups(x, y, z)
      }
      return pass
    }
    return encoder
  }
}
