// The texts of the page in English and Chinese. English is the key; texts from the program itself stay English.
const ZH = {
  // frame
  "Skip to the content": "跳到正文", screens: "页面", Runs: "训练记录", New: "新建", "waiting": "等待中", "colours: auto": "颜色：跟随系统", "colours: light": "颜色：浅色", "colours: dark": "颜色：深色",
  "The studio is not responding. Runs continue; restart it with: retrograd studio": "工作台没有响应。训练仍在继续；请重新运行：retrograd studio",
  "This page has no token. Open the address that `retrograd studio` printed.": "此页面没有令牌。请打开 `retrograd studio` 打印的地址。",
  "All runs": "全部训练", train: "训练", resume: "继续训练", diagnose: "诊断", repair: "修复",
  // runs
  "New run": "新建训练", "Compare {n} runs": "比较 {n} 次训练", "select another run to compare": "再选一个即可比较", "compare {name}": "比较 {name}",
  running: "训练中", finished: "已完成", interrupted: "已中断", unreadable: "无法读取", starting: "正在启动", "{n} epochs": "{n} 轮", "chance {n}": "随机水平 {n}", "no better than a constant": "不比常数好", "Remove from queue": "移出队列",
  "just now": "刚刚", "{n} min ago": "{n} 分钟前", "{n} h ago": "{n} 小时前", epochs: "轮数",
  "Start with an example or your own table": "从示例或您自己的表格开始", View: "查看", Train: "训练", "Drop a table here": "把表格拖到这里", "CSV, Parquet, JSON Lines or Excel; a suitable network is proposed": "支持 CSV、Parquet、JSON Lines、Excel；会推荐合适的网络", "reading {name}": "正在读取 {name}",
  "The classic: no single line separates these four points, but a hidden layer does.": "经典问题：一条直线分不开这四个点，加一个隐藏层就可以。",
  "Two half-moons in the plane: watch the decision boundary bend.": "平面上的两个半月：可以看着决策边界弯曲。",
  "Handwritten digits, 8 by 8 pixels: ten classes; draw your own digit to test the network.": "8×8 像素的手写数字：十个类别，还可以亲手写一个来试。",
  "A network that does not learn. Train it, then ask the doctor why.": "一个学不会的网络。先训练它，再请医生说明原因。",
  binary: "二分类", multiclass: "多分类", regression: "回归", multilabel: "多标签", unsupervised: "无监督",
  accuracy: "准确率", loss: "损失", "R²": "R²", "training rows": "训练集", "held-out rows": "验证集", "test rows": "测试集", valid: "验证", test: "测试",
  // run
  Progress: "训练过程", "Step by step": "逐步反向传播", Doctor: "医生", Predict: "预测", "views of the run": "本次训练的视图", Resume: "继续", Stop: "停止", "Stopping…": "正在停止…", "asked to stop": "已请求停止", "Continue to {n} epochs": "继续训练到 {n} 轮", "Edit and train": "修改后训练",
  "This run no longer exists.": "该训练已不存在。", "Training is starting: reading the data and compiling the training step.": "训练正在启动：读取数据、编译训练步。",
  "Another job is running; this one starts after it.": "另一个任务正在运行；之后开始本任务。",
  Loss: "损失", Score: "得分", epoch: "轮", "Signal through the layers": "信号在各层中的传递", "outputs and deltas of the layers": "各层的输出与误差项", outputs: "输出", deltas: "误差项 δ", "{n} % dead": "{n}% 死亡", "{n} % saturated": "{n}% 饱和", "step {n}": "第 {n} 步",
  "Up: the size of a layer's output. Down: the size of its delta, the gradient of the loss. Both are on a logarithmic scale; grey marks the usual range. Bars that shrink towards the left mean a vanishing gradient.": "向上：该层输出的大小。向下：损失对它的敏感程度（δ）。均为对数刻度；灰色为常见范围。若柱子越往左越短，就是梯度消失。",
  chance: "随机水平", "for the kept weights": "所保留的权重", "latest measurement": "最近一次测量", "mean over the last epoch": "最近一轮的平均", Epochs: "轮数", "kept: initial weights": "保留：初始权重", "kept: epoch {n}": "保留：第 {n} 轮", Time: "用时", "about {t} left": "约剩 {t}", "{n} steps": "{n} 步", "Learning rate": "学习率",
  "what to do": "怎么办", "No better than a constant": "不比常数好", "Ask the doctor": "请医生看看", Ended: "结束", "Interrupted": "已中断", "everything up to the last checkpoint is saved; Resume continues from there": "最近检查点之前的内容都在；点击“继续”即可接着训练",
  "reason epochs": "全部轮次完成", "reason interrupted": "已中断", "reason terminated": "已终止", "reason non-finite": "出现非有限值", "reason diverged": "发散", "reason goal": "达到目标", "reason time limit": "时间到", "reason early stopping": "早停", "reason perfect": "已无可改进", "reason converged": "已收敛",
  Findings: "发现", "The guard intervened": "守护程序介入", Warning: "警告", "Nothing unusual during training.": "训练期间没有发现异常。", "Nothing unusual so far.": "目前没有异常。", Notes: "备注", Configuration: "配置", "epoch {n}": "第 {n} 轮", "mean over each epoch": "该轮各步", "current epoch": "本轮", "{n} steps/s": "{n} 步/秒", "phase compiling": "正在编译训练步", "phase training": "正在训练", "phase finishing": "正在测量并保存模型", kept: "保留", Weights: "权重", largest: "最大", "Decision boundary": "决策边界", "Output over the plane": "平面上的输出",
  // step
  "Computing the step; the first one takes longer.": "正在计算这一步：第一次需要预热。", step: "步", "training row": "训练样本", all: "全部", "after the step": "（更新后）", "Hide and quiz me": "隐藏并提问", "Show the numbers": "显示数值", "Undo {n} edit": "撤销 {n} 处修改", "Undo {n} edits": "撤销 {n} 处修改", "click a weight or an input to change it": "点击权重或输入即可修改",
  "stops of the step": "本步的各站", phases: "阶段", "previous stop": "上一站", "next stop": "下一站", network: "网络", forward: "前向", backward: "反向", update: "更新", input: "输入", after: "之后", play: "播放", pause: "暂停", row: "样本", "numbers on the units: ": "图中数值属于 ",
  "click a weight for its chain of factors; dashed: negative": "点击权重查看链式法则；虚线为负", "click a node to go to it": "点击节点跳转", "close the chain": "关闭链式法则",
  "The chain rule, {n} ways from the loss to this weight, added up:": "链式法则：从损失到该权重共 {n} 条路径，相加：", "The chain rule, factor by factor from this weight back to the loss:": "链式法则：从该权重逐个因子回到损失：", "The update:": "更新：",
  "z: weighted sum · a: activation · δ: ∂loss/∂ this number · ∂: ∂loss/∂ this weight": "z：加权和 · a：激活值 · δ：损失对该数的导数 · ∂：损失对该权重的导数",
  "value of {name}": "{name} 的值", "slide {name}": "滑动 {name}", "change the sign": "改变符号", "Rows of this step": "本步的样本", target: "目标", "Worth noticing": "值得注意", "About this step": "关于这一步", "your number": "您的答案",
  "Click a cell to see the terms of its sum. Blue is above 0, orange is below.": "点击格子，查看它由哪些数相加而成。蓝色大于 0，橙色小于 0。", cell: "格子", "cell of {name}": "{name} 的格子", "open {name}": "展开 {name}", "the chain so far": "目前的链", "← propagated back from": "← 由后面传回", "← computed from": "← 由此算出", "sum of {n} smaller terms": "其余 {n} 个较小项之和", "the first {n} of {m} rows": "共 {m} 行，显示前 {n} 行",
  // doctor
  "verdict healthy": "健康", "verdict ill": "有病", "verdict hopeless": "数据中没有可学的", "verdict refused": "无法训练", "verdict undecided": "无法判断",
  "Does it learn what its data contain, and if not, why?": "它学到数据中的规律了吗？如果没有，为什么？", "The doctor examines the configuration, the data, the first pass and a few short training runs, and compares the network with simple models.": "医生会检查配置、数据、第一次传播和几次短训练，并与简单参照比较。",
  "It is still training: the doctor can examine it once it has finished.": "仍在训练：结束后医生才会来。", Examine: "检查", "Examine again": "重新检查", "Examining: a few short training runs, at most two minutes.": "正在检查：几次短训练，最多两分钟。", "Trying remedies from fresh weights; this takes a while.": "正在用全新权重尝试各种疗法，需要一些时间。", Cancel: "取消",
  "{n} % confidence that this is the cause": "{n}% 确信这是原因", "confidence that this is the cause": "是原因的可能性", threshold: "阈值", "{n} notes": "{n} 条备注", "harmless as long as it learns": "只要能学会就无害", "computing…": "正在计算…", "Apply: train a twin with the same seed": "应用：用相同种子训练一个孪生网络", "the change": "改动", Repair: "修复", "Remedies are tried from fresh weights with several seeds; only improvements beyond the noise are kept.": "用多个随机种子、从全新权重尝试各种疗法；只保留明显优于噪声的。", "Try the remedies": "尝试疗法",
  "The patient and its twin": "病人与孪生网络", "Open the twin": "打开孪生网络", patient: "病人", twin: "孪生", "so far": "（目前）",
  // new
  Network: "网络", "Drag a layer, or move it with Alt and the arrow keys.": "拖动某一层，或用 Alt 加方向键移动。", "Configuration as YAML": "YAML 配置", "Start training": "开始训练", "line {n}": "第 {n} 行", "moved to position {n}": "已移到第 {n} 位", "This network is written on one line: edit it in the text.": "该网络写在一行中：请在文本中修改。", "layer {n}": "第 {n} 层", "{n} parameters": "{n} 个参数", "remove layer {n}": "移除第 {n} 层", "kind of layer": "层的类型", "Add before the last layer": "加在最后一层之前",
  Parameters: "参数", Rows: "样本", Steps: "步数", "{a} per epoch, {b} epochs": "每轮 {a} 步，共 {b} 轮", Task: "任务", Work: "计算量", "multiply-adds per example, forward pass": "每个样本前向的乘加次数", Update: "更新", "Possible problems": "看起来有风险的地方", "column to predict": "要预测的列", "Propose again": "重新推荐",
  // predict
  "Loading the model…": "正在加载模型…", Prediction: "预测结果", "A new row": "新样本", "Draw one": "写一个", "draw here": "在这里写", Clear: "擦除", "{h} by {w} cells, as the network sees it.": "{h}×{w} 个格子，即网络所看到的。", "Many rows": "批量预测", "A file with rows like the training data; the target column may be missing": "与训练数据格式相同的文件；可以没有目标列", "{n} predictions": "{n} 个预测", Download: "下载", "This model only accepts files.": "该模型只接受整个文件。", "Try again": "重试",
  // compare
  "{n} entries": "{n} 项", State: "状态", More: "更多", "more scores, and settings that only some runs have": "其他得分，以及只有部分训练才有的设置",
  Comparison: "比较", "horizontal axis": "横轴", seconds: "秒", "Settings that differ": "不同的设置", "The settings are the same": "设置相同",
};
const PREFIXES = ["verdict ", "reason "];
const EN = { "phase compiling": "compiling the training step", "phase finishing": "measuring and saving the model", "verdict healthy": "healthy", "verdict ill": "ill", "verdict hopeless": "nothing to learn", "verdict refused": "cannot be trained", "verdict undecided": "undecided", "reason epochs": "all epochs done", resume: "resuming", train: "training", diagnose: "diagnosis" };

export const language = () => localStorage.getItem("retrograd-language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
export function setLanguage(code) { localStorage.setItem("retrograd-language", code); }

export function say(text, values = {}) {
  let words = (language() === "zh" ? ZH[text] : EN[text]) ?? text ?? "";
  if (words === text) {
    const prefix = PREFIXES.find((start) => words.startsWith(start));
    if (prefix) { words = words.slice(prefix.length).replaceAll("_", " "); words = words.charAt(0).toUpperCase() + words.slice(1); }
  }
  for (const [name, value] of Object.entries(values)) words = words.replace(`{${name}}`, value);
  return words;
}
