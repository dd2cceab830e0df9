// Findings, remedies and evidence in Chinese, by the codes and names of the program; its numbers stay what they are.
import { language } from "./words.js";

// code: [title, cause]
const KINDS = {
  S01: ["单个单元上的 softmax", "softmax 只有一个单元时输出恒为 1，没有梯度可传。"],
  S02: ["输出激活与损失不匹配", "输出层的激活函数给出的取值范围，不是该损失所期望的。"],
  S03: ["目标超出范围", "有些目标值落在输出激活永远到不了的范围之外。"],
  S04: ["损失与任务不符", "所用的损失是为另一类任务设计的。"],
  S05: ["层间没有非线性", "两层之间没有激活函数，合起来只相当于一个线性层。"],
  S06: ["初始权重不合适", "初始权重过大、过小或彼此相同，信号和梯度无法以合适的尺度通过各层。"],
  S07: ["学习率不合适", "学习率相对于损失的曲率过大会越过最低点，过小则几乎不动。"],
  S08: ["对该激活来说网络太深", "每一层饱和型激活都会缩小梯度，层数过多时前面的层几乎收不到信号。"],
  S09: ["层间使用了 softmax", "中间层的 softmax 把各单元压成总和为 1 的小数，信息和梯度都变得很小。"],
  S10: ["需要 logits 的地方给了概率", "损失自己会做 softmax/sigmoid；输出再做一次，梯度就被压扁了。"],
  S11: ["沿样本方向的 softmax", "softmax 应在每个样本的类别之间归一，而不是在样本之间。"],
  S12: ["更新次数太少", "整个训练的更新次数不足以让权重离开初始值。"],
  S13: ["层太窄", "单元太少的层会丢失信息，窄的 relu 层还容易整层失活。"],
  S14: ["正则化过强", "惩罚项或 dropout 的影响超过了数据本身。"],
  S15: ["没有偏置", "没有偏置时每个单元只能在输入为 0 处切换。"],
  S16: ["损失按批求和", "对批求和会使每一步随批大小放大。"],
  S17: ["批归一化的动量", "滑动平均更新得太慢，评估时用到的统计量还是初始值。"],
  S18: ["学习率日程", "学习率日程让大部分训练只剩很小的步子。"],
  S19: ["随机权重被冻结", "有些权重随机取值后就不再改变，它们不是学到的特征。"],
  D01: ["输入未缩放", "各特征的尺度差别很大，而初始权重和学习率是按均值 0、标准差 1 设计的。"],
  D02: ["目标未缩放", "目标的尺度很大或很小，初始输出和学习率都与它不相称。"],
  D03: ["输入缩放过度", "输入被缩得太小，首层几乎看不到差别。"],
  D04: ["缺失值", "许多单元格为空；用同一个值填补后，它会主导整列。"],
  D05: ["重复的特征", "有些特征几乎是另一些的复制，曲率因此极不均匀。"],
  D06: ["类别不平衡", "某些类别很少；忽略它们时损失反而最低。"],
  D07: ["数据中没有可学的东西", "把答案打乱后也能拟合得一样好：输入与目标之间看不出联系。"],
  D08: ["样本按顺序排列", "相邻样本多属同一类别，批次因此来回拉扯，划分也会有偏。"],
  D09: ["各部分数据不一致", "训练集与验证集的分布不同。"],
  D10: ["答案泄漏", "验证集中的样本也出现在训练集中，得分因此偏高。"],
  D11: ["没有对应类别的输出单元", "有些输出单元对应的类别在数据中不存在。"],
  D12: ["样本太少", "样本数量太少，测得的得分很不确定。"],
  D13: ["互相矛盾的样本", "相同的输入有不同的答案，准确率因此有上限。"],
  D14: ["离群值", "少数极端的单元格压过了其余全部数据。"],
  D15: ["跨越多个数量级", "数值跨越多个数量级，线性缩放后大多数样本挤在一处。"],
  B01: ["出现非有限值", "训练中出现了 NaN 或无穷大。"],
  B02: ["发散", "损失不降反升：步子太大。"],
  B03: ["停滞", "损失几乎没有变化。"],
  B04: ["梯度消失", "梯度逐层变小，靠前的层几乎学不到东西。"],
  B05: ["梯度爆炸", "梯度逐层变大，更新会把权重抛得很远。"],
  B06: ["失活的单元", "这些单元对所有样本的导数都是 0，再也不会更新。"],
  B07: ["饱和", "许多单元处在激活函数的平坦处，几乎不传梯度。"],
  B08: ["参数没有梯度", "损失到达不了这些参数。"],
  B10: ["振荡", "权重在低谷两侧来回跳动。"],
  B11: ["训练未完成", "训练结束时损失仍在下降。"],
  B12: ["过拟合", "训练样本上越来越好，保留样本上却变差：网络在死记。"],
  B13: ["欠拟合", "连训练样本都拟合得不如简单的参照模型。"],
  B14: ["输出为常数", "无论输入是什么，网络给出的答案几乎相同。"],
  B15: ["相同的单元", "同层单元的权重相同，它们学到的也永远相同。"],
  B17: ["梯度错误", "某层手写的反向传播与数值差分不一致。"],
  B20: ["首个损失异常", "第一个损失与“一无所知”时应有的值不符。"],
  B21: ["记不住少量样本", "连少数几个样本都背不下来，说明网络或训练本身有问题。"],
  B25: ["批归一化的滑动平均", "评估时的滑动平均与训练时的统计量不一致。"],
  B26: ["停止过早", "早停在损失还会下降时就结束了训练。"],
};

// name: [title, reason]
const REMEDIES = {
  adam: ["改用 Adam", "Adam 会为每个权重调整步长。"],
  add_activations: ["在层间加入激活", "没有激活函数时，两层只相当于一个线性层。"],
  add_bias: ["加入偏置", "有了偏置，单元可以在任何位置切换，而不仅在输入为 0 处。"],
  add_dropout: ["加入 dropout", "不能互相依赖的单元较少死记。"],
  augment_images: ["图像增广", "从不重复出现的图像无法死记。"],
  batch_norm_momentum: ["调整批归一化的动量", "评估应使用训练时见到的统计量。"],
  clip_gradients: ["裁剪梯度", "一次很大的梯度就可能把权重抛得很远。"],
  clip_less: ["放宽梯度裁剪", "上限远低于梯度的通常大小时，几乎没有步子可走。"],
  code_is_missing: ["把该代码当作缺失值", "它代表缺失，却被当成数量读入。"],
  default_initial_weights: ["使用默认初始化", "尺度合适的初始权重能让信号和梯度通过每一层。"],
  early_stopping: ["早停", "过了保留损失的最低点，网络只是在死记。"],
  fewer_layers: ["减少层数", "每多一层，梯度就要多通过一层。"],
  hidden_relu: ["隐藏层改用 relu", "激活的 relu 会原样传递梯度。"],
  larger_batch: ["增大批次", "较大的批次梯度噪声较小。"],
  leaky: ["改用 leaky relu", "leaky 单元在不激活时仍有梯度，可以恢复。"],
  less_regularisation: ["减弱正则化", "惩罚项压过了数据。"],
  log_inputs: ["对输入取对数", "成倍增长的量取对数后按步增长，没有样本会压过其余。"],
  log_target: ["对目标取对数", "大目标与小目标的误差都按倍数计，而不只看大的。"],
  lower_rate: ["降低学习率", "较小的步子不会越过最低点。"],
  lower_rate_much: ["大幅降低学习率", "小得多的步子不会越过最低点。"],
  raise_rate: ["提高学习率", "较大的步子更快到达最低点。"],
  raise_rate_much: ["大幅提高学习率", "大得多的步子更快到达最低点。"],
  raise_rate_some: ["稍微提高学习率", "较大的步子更快到达最低点。"],
  unfreeze: ["解除冻结", "随机取值又从不改变的权重不是特征。"],
  pool_states: ["对各步状态取平均", "这样每一步都有自己的误差项，不必穿过后面所有的步。"],
  no_truncation: ["不截断反向传播", "比截断步数更早的内容永远学不到。"],
  constant_rate: ["学习率保持不变", "日程在训练之前就结束，剩下的步子几乎为零。"],
  usual_constants: ["优化器使用通常的常数", "作者推荐的常数几乎适合所有网络。"],
  more_patience: ["早停更有耐心", "一次没有进步是噪声，十次才是平台。"],
  many_updates: ["大幅增加更新次数", "这么短的训练在学到东西之前就结束了。"],
  match_output: ["让输出与损失匹配", "输出和损失要配套：交叉熵配 logits，平方误差配普通数值。"],
  mean_loss: ["损失取平均", "求和会使每一步随批大小放大。"],
  mixup: ["混合样本（mixup）", "网络在两个样本之间学到平滑的过渡，而不是突变。"],
  more_updates: ["增加更新次数", "训练结束时网络仍在学习。"],
  normalise: ["加入归一化层", "归一化能保持信号的尺度，不论权重如何。"],
  robust_inputs: ["稳健缩放输入", "中位数和四分位数不受少数离群值影响。"],
  robust_target: ["稳健处理目标", "少数离群值的平方误差会压过其余全部样本。"],
  scale_inputs: ["标准化输入", "初始权重和学习率是按均值 0、标准差 1 的特征设计的。"],
  scale_targets: ["标准化目标", "初始输出和学习率是按均值 0、标准差 1 的目标设计的。"],
  shuffle: ["打乱样本", "只含一个类别的批次会把权重来回拉扯。"],
  shuffled_split: ["打乱后再划分", "训练集和验证集应含有相同的类别。"],
  simpler_network: ["简化网络", "较少的权重较少死记。"],
  smaller_batch: ["减小批次", "较小的批次使每轮更新更多。"],
  usual_momentum: ["使用通常的动量", "更大的动量会记住早已过去的坡度而来回摆动。"],
  weigh_classes: ["给类别加权", "否则忽略少数类别时损失最低。"],
  weight_decay: ["权重衰减", "小权重给出平滑的函数。"],
  widen: ["加宽网络", "窄层会丢失信息，窄的 relu 层也容易失活。"],
};

const VERDICTS = {
  healthy: "它学到了数据中的规律。", ill: "它没有学到数据中可学的东西；最可能的原因列在下面。", hopeless: "输入与目标之间看不出可学的联系：先看数据，而不是网络。",
  refused: "这个配置无法训练；下面说明是哪里不对。", undecided: "时间不够，无法判断。",
};

const QUANTITIES = {
  "training score": "训练得分", "learning rate x updates": "学习率 × 更新次数", "factor per layer": "每层倍数", "with the rows' own statistics": "用样本自身的统计量", "with Adam": "用 Adam", "weights without gradient": "没有梯度的权重",
  "variance of the outputs / of the targets": "输出方差 / 目标方差", "values that are not finite": "非有限值个数", updates: "更新次数", "units of the narrowest hidden layer": "最窄隐藏层的单元数", "training score with running averages": "用滑动平均时的训练得分",
  "training score - held-out score": "训练得分 − 验证得分", "training rows": "训练样本数", "standard deviation of the features": "特征的标准差", "standard deviation against sqrt(gain / fan_in)": "标准差与 √(gain/fan_in) 之比", "sqrt(momentum) to the power of the updates": "√动量 的更新次数次幂",
  "spread of the weights": "权重的离散程度", "share of validation rows that train": "验证样本中参与训练的比例", "share of the variance that these cells make up": "这些单元格占方差的比例", "share of the newest batch": "最新批次所占比例", "share of the first values": "初始值所占比例",
  "share of targets out of reach": "无法达到的目标比例", "share of shuffled answers that fit as well": "打乱答案后拟合同样好的比例", "share of saturated units": "饱和单元的比例", "share of rows without a value": "缺失的样本比例", "share of rows that cannot be right": "不可能答对的样本比例",
  "share of neighbouring rows with the same class": "相邻样本同类的比例", "share of features that differ": "分布不同的特征比例", "share of dead units": "失活单元的比例", "share of copies": "重复的比例", "share dropped": "丢弃的比例", "score on these rows, with its own optimizer": "用自身优化器在这些样本上的得分",
  "rows of the most frequent class / rarest": "最多类与最少类的样本数之比", "relative error of the gradient": "梯度的相对误差", "rate / (1 - momentum)": "学习率 / (1 − 动量)", "penalties / loss": "惩罚项 / 损失", "learning rate x largest curvature": "学习率 × 最大曲率", "learning rate x curvature x updates": "学习率 × 曲率 × 更新次数",
  "layers with a bias": "有偏置的层数", "last loss / first loss": "末损失 / 首损失", "jumps / loss": "跳动 / 损失", "held-out loss at the end / smallest": "末尾验证损失 / 最小值", "first loss / that of ignorance": "首个损失 / 一无所知时的损失", "first / last": "首 / 末", "farthest way / norm of the first weights": "最远移动 / 初始权重的范数",
  "fall of the loss in the last quarter": "最后四分之一中损失的下降", "factor of the learning rate": "学习率的倍数", "factor of all": "总倍数", "factor of all first weights": "全部初始权重的倍数", "distance of the class frequencies": "类别频率的差距", correlation: "相关系数", "correlation of successive changes": "相邻变化的相关系数",
  "share of the weights that are frozen at random": "随机冻结的权重比例", "change of the weights / their size": "权重变化 / 权重大小", "|bias| / deviation of the layer's outputs": "|偏置| / 该层输出的标准差", "eps / largest gradient (rms of a layer)": "eps / 最大梯度（某层均方根）", "mean rate / stated rate": "平均学习率 / 设定学习率", "delta at the first steps / at the last steps": "最初几步的 δ / 最后几步的 δ", "share of the epochs that were trained": "已训练的轮数比例", "deviation of the noise / of the values": "噪声标准差 / 数值标准差",
  "bound of the probability to be born dead": "初始即失活的概率上限", "99th / 1st hundredth of the positive values": "正值的第 99 与第 1 百分位之比",
};

const isChinese = () => language() === "zh";
const words = (name) => { const text = name.replaceAll("_", " "); return text.charAt(0).toUpperCase() + text.slice(1); };
export const findingTitle = (finding) => (isChinese() && KINDS[finding.code]?.[0]) || words(finding.name);
// What the finding means, in Chinese; null where the program's own sentence is understood.
export const findingCause = (finding) => (isChinese() && KINDS[finding.code]?.[1]) || null;
export const remedyTitle = (name) => (isChinese() && REMEDIES[name]?.[0]) || words(name);
export const remedyReason = (name, why) => (isChinese() && REMEDIES[name]?.[1]) || why;
export const verdictWords = (verdict) => (isChinese() && VERDICTS[verdict]) || null;
export function quantityWords(quantity) {
  if (!isChinese()) return quantity;
  const [, kind] = quantity.match(/^layers of (.+)$/) ?? [], [, remedy] = quantity.match(/^with (.+) alone$/) ?? [], [, what] = quantity.match(/^(.+) as it is$/) ?? [];
  return QUANTITIES[quantity] ?? (kind ? `${kind} 层数` : remedy ? `只做“${remedyTitle(remedy)}”时` : what ? `原样的${what === "score" ? "得分" : what}` : quantity);
}
