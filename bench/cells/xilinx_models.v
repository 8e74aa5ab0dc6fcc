// SPDX-License-Identifier: Apache-2.0
// What the cells of mapped netlists do, for simulation only: the functions of the vendor's libraries guide, no delays.
module LUT1 #(parameter [1:0] INIT = 0) (output O, input I0);
  assign O = INIT[I0];
endmodule
module LUT2 #(parameter [3:0] INIT = 0) (output O, input I0, I1);
  assign O = INIT[{I1, I0}];
endmodule
module LUT3 #(parameter [7:0] INIT = 0) (output O, input I0, I1, I2);
  assign O = INIT[{I2, I1, I0}];
endmodule
module LUT4 #(parameter [15:0] INIT = 0) (output O, input I0, I1, I2, I3);
  assign O = INIT[{I3, I2, I1, I0}];
endmodule
module LUT5 #(parameter [31:0] INIT = 0) (output O, input I0, I1, I2, I3, I4);
  assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule
module LUT6 #(parameter [63:0] INIT = 0) (output O, input I0, I1, I2, I3, I4, I5);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule
module LUT6_2 #(parameter [63:0] INIT = 0) (output O6, output O5, input I0, I1, I2, I3, I4, I5);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule
module INV (output O, input I);
  assign O = ~I;
endmodule
module BUF (output O, input I);
  assign O = I;
endmodule
module GND (output G);
  assign G = 1'b0;
endmodule
module VCC (output P);
  assign P = 1'b1;
endmodule
module MUXF7 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule
module MUXF8 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule
module MUXF9 (output O, input I0, I1, S);
  assign O = S ? I1 : I0;
endmodule
module CARRY4 (output [3:0] CO, output [3:0] O, input CI, input CYINIT, input [3:0] DI, input [3:0] S);
  wire c0 = CI | CYINIT;
  wire c1 = S[0] ? c0 : DI[0];
  wire c2 = S[1] ? c1 : DI[1];
  wire c3 = S[2] ? c2 : DI[2];
  wire c4 = S[3] ? c3 : DI[3];
  assign CO = {c4, c3, c2, c1};
  assign O = S ^ {c3, c2, c1, c0};
endmodule
module CARRY8 #(parameter CARRY_TYPE = "SINGLE_CY8") (output [7:0] CO, output [7:0] O, input CI, input CI_TOP, input [7:0] DI, input [7:0] S);
  wire middle;
  CARRY4 low (.CO(CO[3:0]), .O(O[3:0]), .CI(CI), .CYINIT(1'b0), .DI(DI[3:0]), .S(S[3:0]));
  assign middle = CARRY_TYPE == "DUAL_CY4" ? CI_TOP : CO[3];
  CARRY4 high (.CO(CO[7:4]), .O(O[7:4]), .CI(middle), .CYINIT(1'b0), .DI(DI[7:4]), .S(S[7:4]));
endmodule
module FDRE #(parameter INIT = 1'b0, parameter IS_C_INVERTED = 0, parameter IS_D_INVERTED = 0, parameter IS_R_INVERTED = 0)
            (output reg Q, input C, CE, D, R);
  initial Q = INIT;
  always @(posedge C) if (R ^ IS_R_INVERTED[0]) Q <= 1'b0; else if (CE) Q <= D ^ IS_D_INVERTED[0];
endmodule
module FDSE #(parameter INIT = 1'b1, parameter IS_C_INVERTED = 0, parameter IS_D_INVERTED = 0, parameter IS_S_INVERTED = 0)
            (output reg Q, input C, CE, D, S);
  initial Q = INIT;
  always @(posedge C) if (S ^ IS_S_INVERTED[0]) Q <= 1'b1; else if (CE) Q <= D ^ IS_D_INVERTED[0];
endmodule
module SRL16E #(parameter [15:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (output Q, input A0, A1, A2, A3, CE, CLK, D);
  reg [15:0] bits;
  initial bits = INIT;
  assign Q = bits[{A3, A2, A1, A0}];
  always @(posedge CLK) if (CE) bits <= {bits[14:0], D};
endmodule
module SRLC32E #(parameter [31:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (output Q, output Q31, input [4:0] A, input CE, CLK, D);
  reg [31:0] bits;
  initial bits = INIT;
  assign Q = bits[A];
  assign Q31 = bits[31];
  always @(posedge CLK) if (CE) bits <= {bits[30:0], D};
endmodule
