// matvec `matmul_6` of bipolar
module bipolar_matmul_6 (
  input  wire clk,
  input  wire [16:0] from_multithreshold_4,
  output wire [23:0] result);

  wire multithreshold_4_y0_r1 = from_multithreshold_4[0];
  wire [1:0] multithreshold_4_y1_r1 = from_multithreshold_4[2:1];
  wire [1:0] multithreshold_4_y2_r1 = from_multithreshold_4[4:3];
  wire multithreshold_4_y3_r1 = from_multithreshold_4[5];
  wire [1:0] multithreshold_4_y4_r1 = from_multithreshold_4[7:6];
  wire [1:0] multithreshold_4_y5_r1 = from_multithreshold_4[9:8];
  wire [1:0] multithreshold_4_y6_r1 = from_multithreshold_4[11:10];
  wire [1:0] multithreshold_4_y7_r1 = from_multithreshold_4[13:12];
  wire [1:0] multithreshold_4_y8_r1 = from_multithreshold_4[15:14];
  wire multithreshold_4_y9_r1 = from_multithreshold_4[16];
  wire [2:0] t10 = {1'd0, multithreshold_4_y6_r1} - {2'd0, multithreshold_4_y0_r1};
  wire [2:0] t11_c = t10 - {1'd0, multithreshold_4_y8_r1};
  wire [2:0] t11 = {t11_c[2:1], t10[0] ^ multithreshold_4_y8_r1[0]};
  wire [3:0] t12_c = {2'd0, multithreshold_4_y7_r1} + {t11[2], t11};
  wire [3:0] t12 = {t12_c[3:1], multithreshold_4_y7_r1[0] ^ t11[0]};
  wire [2:0] t13 = {1'd0, multithreshold_4_y5_r1} - {1'd0, multithreshold_4_y1_r1};
  wire [3:0] t14_c = {2'd0, multithreshold_4_y2_r1} + t12;
  wire [3:0] t14 = {t14_c[3:1], multithreshold_4_y2_r1[0] ^ t12[0]};
  wire [3:0] t15_c = {2'd0, multithreshold_4_y4_r1} - {t13[2], t13};
  wire [3:0] t15 = {t15_c[3:1], multithreshold_4_y4_r1[0] ^ t13[0]};
  wire [3:0] t16_c = {3'd0, multithreshold_4_y9_r1} + t15;
  wire [3:0] t16 = {t16_c[3:1], multithreshold_4_y9_r1 ^ t15[0]};
  wire [1:0] t17 = multithreshold_4_y5_r1 + {1'd0, multithreshold_4_y9_r1};
  wire t19_c = 1'd0 + 1'd1;
  wire [1:0] t19 = {t19_c, multithreshold_4_y0_r1};
  wire [2:0] t20_c = {t19[1], t19} - {1'd0, multithreshold_4_y1_r1};
  wire [2:0] t20 = {t20_c[2:1], t19[0] ^ multithreshold_4_y1_r1[0]};
  wire [2:0] t21 = {1'd0, multithreshold_4_y2_r1} + {1'd0, multithreshold_4_y7_r1};
  wire [2:0] t22_c = {1'd0, multithreshold_4_y8_r1} - {1'd0, t17};
  wire [2:0] t22 = {t22_c[2:1], multithreshold_4_y8_r1[0] ^ t17[0]};
  wire [3:0] t23_c = {t20[2], t20} + {t22[2], t22};
  wire [3:0] t23 = {t23_c[3:1], t20[0] ^ t22[0]};
  wire [3:0] t24_c = {1'd0, t21} + t23;
  wire [3:0] t24 = {t24_c[3:1], t21[0] ^ t23[0]};
  reg [3:0] t24_r1;
  wire [2:0] t26_c = {2'd0, multithreshold_4_y3_r1} + {1'd0, t17};
  wire [2:0] t26 = {t26_c[2:1], multithreshold_4_y3_r1 ^ t17[0]};
  wire [2:0] t27 = 3'd4 - t26;
  wire [4:0] t28_c = {t12[3], t12} + {2'd0, t27};
  wire [4:0] t28 = {t28_c[4:1], t12[0] ^ t27[0]};
  reg [4:0] t28_r1;
  wire t29_c = 1'd0 + 1'd1;
  wire [1:0] t29 = {t29_c, multithreshold_4_y3_r1};
  wire [3:0] t30_c = {2'd0, multithreshold_4_y2_r1} + {t10[2], t10};
  wire [3:0] t30 = {t30_c[3:1], multithreshold_4_y2_r1[0] ^ t10[0]};
  wire [3:0] t31_c = {2'd0, t29} + t30;
  wire [3:0] t31 = {t31_c[3:1], t29[0] ^ t30[0]};
  wire [4:0] t32_c = {1'd0, t31} - {t16[3], t16};
  wire [4:0] t32 = {t32_c[4:1], t31[0] ^ t16[0]};
  reg [4:0] t32_r1;
  wire [1:0] t33_c = t16[3:2] + 2'd3;
  wire [3:0] t33 = {t33_c, t16[1:0]};
  wire [4:0] t34_c = {t14[3], t14} + {t33[3], t33};
  wire [4:0] t34 = {t34_c[4:1], t14[0] ^ t33[0]};
  reg [4:0] t34_r1;
  wire t35 = multithreshold_4_y3_r1 + 1'd1;
  wire [2:0] t36_c = t13 + {{2{t35}}, t35};
  wire [2:0] t36 = {t36_c[2:1], t13[0] ^ t35};
  wire [4:0] t37_c = {t14[3], t14} + {{2{t36[2]}}, t36};
  wire [4:0] t37 = {t37_c[4:1], t14[0] ^ t36[0]};
  reg [4:0] t37_r1;
  assign result = {t37_r1, t34_r1, t32_r1, t28_r1, t24_r1};

  always @(posedge clk) begin
    t24_r1 <= t24;
    t28_r1 <= t28;
    t32_r1 <= t32;
    t34_r1 <= t34;
    t37_r1 <= t37;
  end

endmodule
