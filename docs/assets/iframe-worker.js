// Browsers start no workers from file: URLs. Here a worker is a hidden frame that runs the same script.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...urls) =>
        Promise.all(urls.map((from) => new Promise((done, failed) => this.run(from, done, failed))))
      this.run(url, () => {
        this.waiting.forEach((data) => this.hand(data))
        this.waiting = null
      }, (error) => this.dispatchEvent(new ErrorEvent("error", { error })))
    }
    run(url, done, failed) {
      const script = this.frame.contentDocument.createElement("script")
      Object.assign(script, { src: url, onload: done, onerror: failed })
      this.frame.contentDocument.head.append(script)
    }
    hand(data) {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
    }
    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.hand(data)
    }
    set onmessage(listener) {
      this.addEventListener("message", listener)
    }
    terminate() {
      this.frame.remove()
    }
  }
}
