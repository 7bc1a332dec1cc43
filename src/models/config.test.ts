/** Which configs are tuned, and what the others are told: by name, from config.json alone. */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { describeConfig, runAs } from './config'
import { ModelError } from './model-error'

const causal = (model_type: string, architecture: string, more: object = {}): object => ({
  model_type,
  architectures: [architecture],
  ...more,
})
const seq2seq = (model_type: string, architecture: string, more: object = {}): object =>
  causal(model_type, architecture, { is_encoder_decoder: true, ...more })

function refusal(config: unknown): ModelError {
  try {
    describeConfig('owner/name', config)
  } catch (error) {
    if (error instanceof ModelError) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('describeConfig', () => {
  it.each([
    ['gpt2', 'GPT2LMHeadModel'],
    ['gpt_neo', 'GPTNeoForCausalLM'],
    ['gpt_neox', 'GPTNeoXForCausalLM'],
    ['gptj', 'GPTJForCausalLM'],
    ['opt', 'OPTForCausalLM'],
    ['bloom', 'BloomForCausalLM'],
    ['codegen', 'CodeGenForCausalLM'],
    ['llama', 'LlamaForCausalLM'],
    ['mistral', 'MistralForCausalLM'],
    ['qwen2', 'Qwen2ForCausalLM'],
    ['qwen3', 'Qwen3ForCausalLM'],
    ['phi', 'PhiForCausalLM'],
    ['gemma', 'GemmaForCausalLM'],
    ['gemma3_text', 'Gemma3ForCausalLM'],
  ])('%s is a causal model', (type, architecture) => {
    const config = causal(type, architecture, { max_position_embeddings: 512, layer_types: ['full_attention'] })
    expect(describeConfig('owner/name', config)).toEqual({ kind: 'causal-lm', architecture, max_positions: 512 })
  })

  it.each([
    ['t5', 'T5ForConditionalGeneration', null],
    ['mt5', 'MT5ForConditionalGeneration', null],
    ['umt5', 'UMT5ForConditionalGeneration', null],
    ['bart', 'BartForConditionalGeneration', 512],
    ['mbart', 'MBartForConditionalGeneration', 512],
    ['m2m_100', 'M2M100ForConditionalGeneration', 512],
    ['marian', 'MarianMTModel', 512],
    ['pegasus', 'PegasusForConditionalGeneration', 512],
    ['blenderbot', 'BlenderbotForConditionalGeneration', 512],
  ])('%s is an encoder-decoder', (type, architecture, max_positions) => {
    const config = seq2seq(type, architecture, { max_position_embeddings: 512 })
    expect(describeConfig('owner/name', config)).toEqual({ kind: 'seq2seq', architecture, max_positions })
  })

  it.each([
    ['mixtral', causal('mixtral', 'MixtralForCausalLM', { num_local_experts: 8 }), 'mixture of experts (num_local_experts 8)'],
    ['qwen3_moe', causal('qwen3_moe', 'Qwen3MoeForCausalLM', { num_experts: 128 }), 'mixture of experts (num_experts 128)'],
    ['gpt_oss', causal('gpt_oss', 'GptOssForCausalLM'), 'mixture of experts'],
    ['deepseek_v3', causal('deepseek_v3', 'DeepseekV3ForCausalLM', { n_routed_experts: 64 }), 'mixture of experts'],
    ['mamba', causal('mamba', 'MambaForCausalLM'), 'state-space model (Mamba)'],
    ['falcon_h1', causal('falcon_h1', 'FalconH1ForCausalLM'), 'state-space model (Mamba)'],
    ['granite hybrid', causal('granitemoehybrid', 'GraniteMoeHybridForCausalLM', { layer_types: ['mamba'] }), 'Mamba'],
    ['rwkv', causal('rwkv', 'RwkvForCausalLM'), 'recurrent'],
    ['qwen3_next', causal('qwen3_next', 'Qwen3NextForCausalLM', { layer_types: ['linear_attention'] }), 'linear attention'],
    ['lfm2', causal('lfm2', 'Lfm2ForCausalLM', { layer_types: ['conv', 'full_attention'] }), 'convolution'],
    ['gemma3', causal('gemma3', 'Gemma3ForConditionalGeneration', { vision_config: {} }), 'vision model'],
    ['phi3_v', causal('phi3_v', 'Phi3VForCausalLM', { img_processor: {} }), 'vision model'],
    ['ultravox', causal('ultravox', 'UltravoxModel', { audio_config: {} }), 'audio model'],
    ['whisper', seq2seq('whisper', 'WhisperForConditionalGeneration', { num_mel_bins: 80 }), 'speech model'],
    ['bert', causal('bert', 'BertForMaskedLM'), 'not a language model that generates text'],
    ['a classifier', seq2seq('bart', 'BartForSequenceClassification'), 'of another kind'],
    ['led', seq2seq('led', 'LEDForConditionalGeneration'), 'of another kind'],
    ['xglm', causal('xglm', 'XGLMForCausalLM'), 'transformers.js has no class for model type xglm'],
    ['no type', {}, 'names no model_type'],
  ])('refuses %s by name', (_, config, reason) => {
    const error = refusal(config)
    expect(error.code).toBe('unsupported')
    expect(error.message).toContain('owner/name')
    expect(error.message).toContain(reason)
    expect(error.hint).not.toBe('')
  })

  it('any JSON: a summary or a ModelError', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (config, layers) => {
        for (const one of [config, causal('llama', 'LlamaForCausalLM', { layer_types: layers, num_experts: layers })]) {
          try {
            describeConfig('owner/name', one)
          } catch (error) {
            expect(error).toBeInstanceOf(ModelError)
          }
        }
      }),
    )
  })
})

it('runs types that transformers.js has no class for as one it has', () => {
  expect(runAs('pegasus')).toBe('bart')
  expect(runAs('gpt2')).toBe('gpt2')
})
