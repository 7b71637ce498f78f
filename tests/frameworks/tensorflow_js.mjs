// node tensorflow_js.mjs FOLDER: loads each NAME.json with its shards in TensorFlow.js, and writes what it predicts for NAME.inputs
// to NAME.outputs, or the error.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, modules] = process.argv.slice(2);
const tf = createRequire(path.join(modules, "x.js"))("@tensorflow/tfjs");

async function predict(file) {
  const document = JSON.parse(fs.readFileSync(file));
  const [group] = document.weightsManifest;
  const bytes = Buffer.concat(group.paths.map((shard) => fs.readFileSync(path.join(folder, shard))));
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const model = await tf.loadLayersModel(
    tf.io.fromMemory({ modelTopology: document.modelTopology, weightSpecs: group.weights, weightData }),
  );
  const inputs = JSON.parse(fs.readFileSync(file.replace(/json$/, "inputs"))).map((item) => tf.tensor(item.values, item.shape, "float32"));
  const found = model.predict(inputs.length > 1 ? inputs : inputs[0]);
  return (Array.isArray(found) ? found : [found]).map((item) => ({ shape: item.shape, values: Array.from(item.dataSync()) }));
}

for (const name of fs.readdirSync(folder).filter((item) => item.endsWith(".json"))) {
  const file = path.join(folder, name);
  let result;
  try {
    result = await predict(file);
  } catch (error) {
    result = String(error);
  }
  fs.writeFileSync(file.replace(/json$/, "outputs"), JSON.stringify(result));
}
